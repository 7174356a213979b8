// Runs programs for bench: reads a request as a line of JSON, answers with one.
import { WASI } from "node:wasi";
import { openSync, readFileSync, readSync, writeSync } from "node:fs";

const modules = [];
const programs = []; // a WASI object that is collected closes descriptors of others

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
  const open = (path) => openSync(path, "r+");
  const wasi = new WASI({
    version: "preview1", args: ["benchmark"], preopens: { ".": dir },
    stdin: open("/dev/null"), stdout: open(stdout), stderr: open("/dev/null"), returnOnExit: true,
  });
  programs.push(wasi);
  let started = 0, took = 0;
  const bench = {
    start() { started = cpu(); },
    end() { took += cpu() - started; },
  };
  const instance = new WebAssembly.Instance(modules[id], { wasi_snapshot_preview1: wasi.wasiImport, bench });
  const code = wasi.start(instance);
  if (code) throw new Error(`exit code ${code}`);
  return { took };
}

const instances = [];

function call({ id, export: name, arg, n }) {
  instances[id] ??= new WebAssembly.Instance(modules[id], { env: { nop: (x) => x } });
  const f = instances[id].exports[name];
  let result;
  for (let i = 0; i < n; i++) result = f(arg);
  return { result };
}

function forget({ id }) {
  modules[id] = undefined;
  return {};
}

const operations = { compile, run, call, forget };

function answer(line) {
  const request = JSON.parse(line);
  try {
    return operations[request.op](request);
  } catch (e) {
    return { error: String(e) };
  }
}

const buffer = Buffer.alloc(1 << 16);
let pending = "";
for (let n; (n = readSync(0, buffer)) > 0; ) {
  const lines = (pending + buffer.toString("utf8", 0, n)).split("\n");
  pending = lines.pop();
  for (const line of lines) writeSync(1, JSON.stringify(answer(line)) + "\n");
}
