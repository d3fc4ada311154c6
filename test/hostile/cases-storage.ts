// The directory itself: what a name may be besides a file, what is missing, and what is too much.
import type { BaseName, HostileCase, Trick } from "./case-files.ts";
import { type Bases, CORRUPTION, STORAGE, caseOf } from "./case-spec.ts";
import type { CaseSpec } from "./case-spec.ts";
import { METADATA, ascii } from "./craft.ts";

type Kind = Trick["kind"];

const reasons: Readonly<Record<Kind, string>> = {
  symlink: "a symbolic link to a file outside",
  "hard-link": "a hard link of a file outside",
  fifo: "a pipe, which would block whoever opens it",
  device: "a device that never ends",
  directory: "a directory",
  extra: "a file that nobody asked for",
};

function trickCases(base: BaseName, roles: Readonly<Record<string, string>>): HostileCase[] {
  const kinds: readonly Kind[] = ["symlink", "fifo", "device", "directory"];
  return Object.entries(roles).flatMap(([role, path]) =>
    kinds.map((kind) =>
      caseOf({
        base,
        name: `${base}-${role}-is-${kind}`,
        reason: `${role} is ${reasons[kind]}`,
        code: STORAGE,
        tricks: [{ path, kind }],
      }),
    ),
  );
}

function more(base: BaseName, name: string, rest: Omit<CaseSpec, "base" | "name">): HostileCase {
  return caseOf({ base, name: `${base}-${name}`, ...rest });
}

function folderCases(base: BaseName): HostileCase[] {
  return ["files", "metadata"].map((path) =>
    more(base, `folder-${path}-is-symlink`, {
      reason: `the folder ${path} is a symbolic link to a directory outside`,
      code: STORAGE,
      tricks: [{ path, kind: "symlink" }],
    }),
  );
}

/** What is no fault of a checkpoint, or cannot be told from what a job does itself. */
function legalCases({ lsm, memory }: Bases): HostileCase[] {
  const extras = [
    "CURRENT",
    "LOCK",
    "MANIFEST-000001",
    "..a",
    "a\nb",
    "\u001b[2J",
    "%2e%2e",
    "A",
    "000001.ldb",
  ];
  const tricks = ["files", "metadata", ""].flatMap((folder) =>
    extras.map((name): Trick => ({
      path: folder === "" ? name : `${folder}/${name}`,
      kind: "extra",
    })),
  );
  const names = ["0000000002\n", "000000002", "0000000002.", "00000000002", "0000000000"];
  const numbers = names.map((name): Trick => ({ path: `metadata/${name}`, kind: "extra" }));
  return [
    more("lsm", "legal-files-nobody-names", {
      reason: "legal: files that nothing names are ignored, control characters or not",
      code: undefined,
      tricks: [...tricks, ...numbers],
    }),
    more("lsm", "legal-hard-link", {
      reason: "legal: a job links its files itself, so a second link says nothing; it is only read",
      code: undefined,
      tricks: [{ path: lsm.dataName, kind: "hard-link" }],
    }),
    more("memory", "legal-hard-link", {
      reason: "legal: a job links its files itself, so a second link says nothing; it is only read",
      code: undefined,
      tricks: [{ path: memory.dataName, kind: "hard-link" }],
    }),
    more("lsm", "legal-hint-damaged", {
      reason: "legal: a hint that is damaged is as good as none",
      code: undefined,
      objects: new Map([["latest", ascii("varve-latest-1 ../../outside 0123456789abcdef\n")]]),
    }),
    more("lsm", "legal-hint-missing", {
      reason: "legal: a hint that is lost loses nothing",
      code: undefined,
      removed: ["latest"],
    }),
    more("lsm", "legal-far-number", {
      reason: "legal: a number that does not follow the newest is no checkpoint",
      code: undefined,
      objects: new Map([["metadata/9999999999", ascii("garbage")]]),
    }),
  ];
}

function missingCases({ lsm, memory, canonical }: Bases): HostileCase[] {
  const cut = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length >> 1);
  return [
    more("lsm", "newest-garbage", {
      reason: "a newest checkpoint that is garbage: never a silent step back",
      code: CORRUPTION,
      objects: new Map([["metadata/0000000002", ascii("garbage")]]),
    }),
    more("lsm", "newest-is-copy", {
      reason: "the newest checkpoint is a copy of the one before",
      code: CORRUPTION,
      objects: new Map([["metadata/0000000002", lsm.object(METADATA)]]),
    }),
    more("lsm", "hint-only", {
      reason: "a hint, and no metadata: a loss, never an empty start",
      code: CORRUPTION,
      removed: [METADATA],
    }),
    more("lsm", "hint-long", {
      reason: "a hint of 5 kB, and no metadata",
      code: CORRUPTION,
      objects: new Map([["latest", new Uint8Array(5000)]]),
      removed: [METADATA],
    }),
    ...[lsm, memory, canonical].flatMap((base) => [
      more(base.name, "data-missing", {
        reason: "a file that is not there",
        code: CORRUPTION,
        removed: [base.dataName],
      }),
      more(base.name, "data-cut", {
        reason: "half a file",
        code: CORRUPTION,
        objects: new Map([[base.dataName, cut(base.data)]]),
      }),
      more(base.name, "list-missing", {
        reason: "a file list that is not there",
        code: CORRUPTION,
        removed: [base.listName],
      }),
    ]),
  ];
}

export function storageCases(bases: Bases): HostileCase[] {
  const { lsm, memory, canonical } = bases;
  return [
    ...trickCases("lsm", {
      data: lsm.dataName,
      list: lsm.listName,
      metadata: METADATA,
      hint: "latest",
    }),
    ...trickCases("memory", { data: memory.dataName }),
    ...trickCases("canonical", { data: canonical.dataName }),
    ...folderCases("lsm"),
    ...folderCases("memory"),
    ...missingCases(bases),
    ...legalCases(bases),
  ];
}
