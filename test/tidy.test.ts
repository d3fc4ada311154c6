// The house rules that a program can check. The import table is that of docs/architecture.md.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, posix } from "node:path";
import { describe, test } from "vitest";

const BASE = "errors.ts api common";
const ENGINE = `${BASE} diagnostics.ts environment format workers`;
/** What each entry of src/ may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, string>> = {
  "errors.ts": "",
  api: "",
  common: "errors.ts api",
  "diagnostics.ts": "api",
  environment: BASE,
  format: BASE,
  workers: `${BASE} diagnostics.ts environment format`,
  memory: `${BASE} diagnostics.ts format`,
  coordinator: BASE,
  lsm: ENGINE,
  changelog: ENGINE,
  checkpoint: `${ENGINE} coordinator`,
  state: `${ENGINE} memory`,
  job: `${ENGINE} coordinator checkpoint`,
  backend: `${ENGINE} memory lsm changelog checkpoint state`,
  testing: "index.ts errors.ts api environment",
  inspect: `${ENGINE} checkpoint state`,
  cli: "errors.ts api common environment inspect",
  "index.ts": "errors.ts api common diagnostics.ts checkpoint state coordinator job backend",
};

/** Packages that one entry alone may import. */
const ONLY_IN: Readonly<Record<string, string>> = {
  "classic-level": "lsm",
  piscina: "workers",
  lz4: "workers",
  "lz4-napi": "workers",
  "xxhash-wasm": "format",
};

const folders = ["src", "test", "bench", "examples", "docs"].filter((folder) => existsSync(folder));

/** Paths of files under a folder, with `/`, that end so. */
function filesOf(folder: string, ...endings: string[]): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => `${folder}/${path.replaceAll("\\", "/")}`)
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .filter((path) => !path.includes("/fixtures/") && !path.includes("/node_modules/"));
}

const sources = filesOf("src", ".ts");
const code = folders.flatMap((folder) => filesOf(folder, ".ts", ".mjs", ".js"));
const pages = filesOf("docs", ".md");

function read(path: string): string {
  return readFileSync(path, "utf8");
}

/** What a file imports, type-only and dynamic imports included. */
function importsOf(path: string): string[] {
  const pattern =
    /^(?:import|export)\b[^;"]*?\bfrom\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;
  return [...read(path).matchAll(pattern)].map(([, from, bare, dynamic]) => {
    return from ?? bare ?? dynamic ?? "";
  });
}

describe("architecture", () => {
  test("imports follow the table of docs/architecture.md", () => {
    const violations: string[] = [];
    for (const path of sources) {
      const from = path.split("/")[1]!;
      for (const to of importsOf(path).filter((target) => target.startsWith("."))) {
        const into = posix.join(posix.dirname(path), to).split("/")[1]!;
        const allowed = MAY_IMPORT[from]?.split(" ").concat(from).includes(into);
        if (allowed !== true) violations.push(`${path} imports ${to}`);
      }
    }
    assert.deepEqual(violations, []);
  });

  test("the page's table names the same entries", () => {
    const page = read("docs/architecture.md");
    const named = [...page.matchAll(/^\| `([a-z.-]+)\/?`\s+\|/gm)].map(([, name]) => name);
    for (const entry of Object.keys(MAY_IMPORT)) assert.ok(named.includes(entry), entry);
  });

  test("third-party packages are imported where the architecture says", () => {
    const violations: string[] = [];
    for (const path of sources) {
      const from = path.split("/")[1]!;
      for (const to of importsOf(path)) {
        if (to.startsWith(".") || to.startsWith("node:")) continue;
        if (ONLY_IN[to] !== from) violations.push(`${path} imports ${to}`);
      }
    }
    assert.deepEqual(violations, []);
  });

  test("api/ has types only", () => {
    const pattern = /^export (?!type |interface )/m;
    const violations = filesOf("src/api", ".ts").filter((path) => pattern.test(read(path)));
    assert.deepEqual(violations, []);
  });
});

describe("names and sizes", () => {
  test("no file is called utils, helpers, misc or common", () => {
    const names = /^(utils?|helpers?|misc|common)\./;
    assert.deepEqual(
      code.filter((path) => names.test(basename(path))),
      [],
    );
  });

  test("no file of code is longer than 400 lines", () => {
    const long = code.filter((path) => read(path).split("\n").length > 401);
    assert.deepEqual(long, []);
  });

  test("no open point is without its issue", () => {
    const open = /\b(TODO|FIXME|XXX)\b(?!\(#\d+\))/;
    const self = "test/tidy.test.ts";
    assert.deepEqual(
      code.filter((path) => path !== self && open.test(read(path))),
      [],
    );
  });

  test("no path of somebody's machine is in a file", () => {
    const absolute = /(?<![\w.$}*-])\/(home|Users|root)\/[a-z]/;
    const self = "test/tidy.test.ts";
    const paths = [...code, ...pages, "README.md"].filter((path) => path !== self);
    assert.deepEqual(
      paths.filter((path) => absolute.test(read(path))),
      [],
    );
    const isPath = /"\/\w[^"]*\/|:\/\/\w/; // What a bench prints has no other reason to begin so.
    assert.deepEqual(
      filesOf("bench", ".jsonl", ".json").filter((path) => isPath.test(read(path))),
      [],
    );
  });
});

describe("documents", () => {
  const formats = pages.filter((path) => path.startsWith("docs/formats/"));

  test("each format page is cited by a source file, and cites one", () => {
    const text = sources.map(read).join("\n");
    for (const page of formats) {
      assert.ok(text.includes(page), `no source file cites ${page}`);
      assert.match(read(page), /`src\/[a-z0-9/.-]+\.ts`/, page);
    }
  });

  test("files that pages and sources cite exist", () => {
    const missing: string[] = [];
    for (const path of [...pages, ...sources, "README.md"]) {
      for (const [, cited = ""] of read(path).matchAll(
        /(?<![\w/-])((?:src|test|docs|bench|native-bench)\/[\w/.-]+\.(?:ts|md|bin|txt))\b/g,
      )) {
        if (!existsSync(cited)) missing.push(`${path} cites ${cited}`);
      }
    }
    assert.deepEqual(missing, []);
  });

  test("every error code stands in docs/operations.md, and no other does", () => {
    const declared = [...read("src/errors.ts").matchAll(/\| "(VARVE_[A-Z_]+)"/g)].map(
      ([, name]) => name!,
    );
    assert.ok(declared.length > 10);
    const page = read("docs/operations.md");
    const listed = [...page.matchAll(/^\| `(VARVE_[A-Z_]+)`/gm)].map(([, name]) => name!);
    assert.deepEqual(listed.sort(), declared.sort());
  });

  test("each source file begins with a comment, an import or a type, never with a licence block", () => {
    const violations = sources.filter(
      (path) => !/^(\/\/|\/\*\* |import|export|#!)/.test(read(path)),
    );
    assert.deepEqual(violations, []);
  });
});
