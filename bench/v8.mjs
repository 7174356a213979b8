// Runs programs for bench: reads a request as a line of JSON, answers with one.
import { WASI } from "node:wasi";
import { createHash } from "node:crypto";
import { openSync, readFileSync, readSync, writeSync } from "node:fs";

const modules = [];
const programs = []; // a WASI object that is collected closes descriptors of others

const cpu = () => {
  const u = process.cpuUsage();
  return (u.user + u.system) * 1000;
};

// Calls work and says what it cost.
function measure(work) {
  const wall = performance.now(), start = cpu();
  const result = work();
  return { result, took: cpu() - start, wall: (performance.now() - wall) * 1e6 };
}

function compile({ path }) {
  const bytes = readFileSync(path);
  const { result, took, wall } = measure(() => new WebAssembly.Module(bytes));
  return { id: modules.push(result) - 1, took, wall };
}

function newWASI(dir, stdout) {
  const open = (path) => openSync(path, "r+");
  const wasi = new WASI({
    version: "preview1", args: ["benchmark"], preopens: dir ? { ".": dir } : {},
    stdin: open("/dev/null"), stdout: open(stdout), stderr: open("/dev/null"), returnOnExit: true,
  });
  programs.push(wasi);
  return wasi;
}

function run({ id, dir, stdout }) {
  const wasi = newWASI(dir, stdout);
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

// All that modules may import, for instances that do not run programs.
let imports;
function allImports() {
  return imports ??= {
    wasi_snapshot_preview1: newWASI(undefined, "/dev/null").wasiImport,
    bench: { start() {}, end() {} }, env: { nop: (x) => x },
  };
}

function instantiate({ id, n }) {
  const imports = allImports();
  const { took, wall } = measure(() => {
    for (let i = 0; i < n; i++) new WebAssembly.Instance(modules[id], imports);
  });
  return { took, wall };
}

const instances = [];

function exports({ id }) {
  instances[id] = new WebAssembly.Instance(modules[id], allImports());
  return {};
}

function drop({ id }) {
  instances[id] = undefined;
  return {};
}

function call({ id, export: name, arg, n }) {
  const f = instances[id].exports[name];
  const { result, took } = measure(() => {
    let last;
    for (let i = 0; i < n; i++) last = f(arg);
    return last;
  });
  return { result, took };
}

function forget({ id }) {
  modules[id] = undefined;
  return {};
}

// Numbers of all types go to and from the bench as the bits of 64-bit integers.
const view = new DataView(new ArrayBuffer(8));

function fromBits(kind, text) {
  view.setBigUint64(0, BigInt(text), true);
  switch (kind) {
    case "i32": return view.getInt32(0, true);
    case "i64": return view.getBigInt64(0, true);
    case "f32": return view.getFloat32(0, true);
    case "f64": return view.getFloat64(0, true);
  }
}

function toBits(kind, value) {
  view.setBigUint64(0, 0n, true);
  switch (kind) {
    case "i32": view.setInt32(0, value, true); break;
    case "i64": view.setBigInt64(0, value, true); break;
    case "f32": view.setFloat32(0, value, true); break;
    case "f64": view.setFloat64(0, value, true); break;
  }
  return view.getBigUint64(0, true).toString();
}

function fuzz({ id, calls = [], globals = [] }) {
  const { exports } = new WebAssembly.Instance(modules[id], {});
  const traps = [], values = [];
  for (const { name, args, kinds, returns } of calls) {
    exports.refuel();
    let trap = "", results = [];
    try {
      results = exports[name](...(args ?? []).map((a, i) => fromBits(kinds[i], a)));
      if (!Array.isArray(results)) results = returns ? [results] : [];
    } catch (e) {
      trap = String(e);
    }
    traps.push(trap);
    values.push(trap ? [] : results.map((v, i) => toBits(returns[i], v)));
  }
  const memory = new Uint8Array(exports.memory.buffer);
  const types = globals.map((g) => globalType(exports[g]));
  return {
    traps, values, size: memory.length,
    hash: createHash("sha256").update(memory).digest("hex").slice(0, 16),
    globals: globals.map((g, i) => toBits(types[i], exports[g].value)), globalTypes: types,
  };
}

// The type of a mutable global is found out by what it keeps of a number.
function globalType(g) {
  if (typeof g.value === "bigint") return "i64";
  const old = g.value;
  g.value = 1e300;
  const big = g.value;
  g.value = old;
  return big === 1e300 ? "f64" : big === Infinity ? "f32" : "i32";
}

const operations = { fuzz, compile, run, instantiate, exports, drop, call, forget };

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
