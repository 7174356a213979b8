// Runs programs for bench: reads a request as a line of JSON, answers with one.
import { WASI } from "node:wasi";
import { readFileSync, openSync, closeSync } from "node:fs";
import { createInterface } from "node:readline";

const modules = [];

const cpu = () => {
  const u = process.cpuUsage();
  return (u.user + u.system) * 1000;
};

function compile({ path }) {
  const bytes = readFileSync(path);
  const start = cpu();
  const module = new WebAssembly.Module(bytes);
  const took = cpu() - start;
  return { id: modules.push(module) - 1, took };
}

function run({ id, dir, stdout }) {
  const out = openSync(stdout, "w");
  const nothing = openSync("/dev/null", "r+");
  try {
    const wasi = new WASI({
      version: "preview1", args: ["benchmark"], preopens: { ".": dir },
      stdin: nothing, stdout: out, stderr: nothing, returnOnExit: true,
    });
    let started = 0, took = 0;
    const bench = {
      start() { started = cpu(); },
      end() { took += cpu() - started; },
    };
    const instance = new WebAssembly.Instance(modules[id], { wasi_snapshot_preview1: wasi.wasiImport, bench });
    const code = wasi.start(instance);
    if (code) throw new Error(`exit code ${code}`);
    return { took };
  } finally {
    closeSync(out);
    closeSync(nothing);
  }
}

function forget({ id }) {
  modules[id] = undefined;
  return {};
}

const operations = { compile, run, forget };

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = operations[request.op](request);
  } catch (e) {
    answer = { error: String(e) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
