// The committed form of a case: what differs from an intact checkpoint, and what must come of it.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { ErrorCode } from "../../src/errors.ts";

/** A directory that a traced process makes once a case is laid out. */
export const LAID_OUT = "laid-out";
export const FIXTURES = "test/fixtures/hostile";

export type BaseName = "lsm" | "memory" | "canonical";
export const BASE_NAMES: readonly BaseName[] = ["lsm", "memory", "canonical"];

/** Stored bytes by name. */
export type Objects = ReadonlyMap<string, Uint8Array>;

/** What a file system can do to a name that no committed file can show. */
export interface Trick {
  readonly path: string;
  /**
   * `outside` is a directory beside the checkpoint's, which nothing may touch: the object is moved there
   * and a link left behind, `symlink` or `hard-link`. The others take the object's place.
   */
  readonly kind: "symlink" | "hard-link" | "fifo" | "directory" | "device" | "extra";
}

/** `reading`: opening may succeed, for content is decoded when it is read. */
export type Refusal = "opening" | "reading";

export interface HostileCase {
  readonly name: string;
  readonly base: BaseName;
  /** What is wrong, in a line. */
  readonly reason: string;
  /** What it is refused with; undefined for what is legal, and the reason says why. */
  readonly code: ErrorCode | undefined;
  readonly refusedAt: Refusal;
  /** Whether a scan by the tools may find nothing wrong, since it reads rows and not what leads to them. */
  readonly scanMayPass: boolean;
  readonly objects: Objects;
  readonly removed: readonly string[];
  readonly tricks: readonly Trick[];
}

interface Stored extends Omit<HostileCase, "objects" | "code"> {
  readonly code: ErrorCode | null;
  /** Base64. */
  readonly objects: Readonly<Record<string, string>>;
}

export function encodeCase(one: HostileCase): string {
  const objects = Object.fromEntries(
    [...one.objects].map(([name, bytes]) => [name, Buffer.from(bytes).toString("base64")]),
  );
  const stored: Stored = { ...one, code: one.code ?? null, objects };
  return `${JSON.stringify(stored, null, 1)}\n`;
}

export function decodeCase(text: string): HostileCase {
  const { objects, code, ...rest } = JSON.parse(text) as Stored;
  const decoded = Object.entries(objects).map(
    ([name, base64]) => [name, Buffer.from(base64, "base64")] as const,
  );
  return { ...rest, code: code ?? undefined, objects: new Map(decoded) };
}

export function caseNames(): string[] {
  return readdirSync(join(FIXTURES, "cases"))
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length))
    .sort();
}

export function casePath(name: string): string {
  return join(FIXTURES, "cases", `${name}.json`);
}

export function readCase(name: string): HostileCase {
  return decodeCase(readFileSync(casePath(name), "utf8"));
}

export function baseDirectory(name: BaseName): string {
  return join(FIXTURES, "bases", name);
}

/** All objects under a directory, by name. */
export function readObjects(directory: string): Map<string, Uint8Array> {
  const objects = new Map<string, Uint8Array>();
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(directory.length + 1);
    objects.set(name, readFileSync(path));
  }
  return new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Where a case is laid out. */
export interface Place {
  /** The checkpoint. */
  readonly storage: string;
  readonly outside: string;
  readonly work: string;
}

/** Lays the case out under `root`. False if this machine or user cannot do its tricks. */
export function layOut(one: HostileCase, root: string): Place | undefined {
  const place = {
    storage: join(root, "storage"),
    outside: join(root, "outside"),
    work: join(root, "work"),
  };
  mkdirSync(place.outside);
  writeFileSync(join(place.outside, "bystander"), "not yours");
  cpSync(baseDirectory(one.base), place.storage, { recursive: true });
  for (const name of one.removed) rmSync(join(place.storage, name));
  for (const [name, bytes] of one.objects) {
    mkdirSync(dirname(join(place.storage, name)), { recursive: true });
    writeFileSync(join(place.storage, name), bytes);
  }
  return one.tricks.every((trick) => play(trick, place)) ? place : undefined;
}

function play({ path, kind }: Trick, { storage, outside }: Place): boolean {
  const full = join(storage, path);
  const moved = join(outside, path.replaceAll("/", "-"));
  switch (kind) {
    case "symlink":
      renameSync(full, moved);
      symlinkSync(moved, full);
      return true;
    case "hard-link":
      renameSync(full, moved);
      linkSync(moved, full);
      return true;
    case "fifo":
      rmSync(full);
      return run("mkfifo", full);
    case "device":
      rmSync(full);
      return run("mknod", full, "c", "1", "5"); // Like /dev/zero: it never ends.
    case "directory":
      rmSync(full);
      mkdirSync(full);
      return true;
    case "extra":
      writeFileSync(full, "nobody asked for this");
      chmodSync(full, 0o666);
      return true;
  }
}

function run(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false; // Not installed, or only root may.
  }
}
