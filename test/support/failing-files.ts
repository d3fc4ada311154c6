// Node's file system, with failures on demand: through it the append thread's work runs on the calling
// thread.
import type { Environment, FileSystem, WritableFile } from "../../src/index.ts";
import { nodeEnvironment } from "../../src/testing/index.ts";

export type FailingCall = "create" | "write" | "sync" | "syncDirectory";

export interface FailingFiles {
  readonly environment: Environment;
  /** The next `count` calls of this kind on changelog segments fail so. */
  arm(call: FailingCall, code: string, count: number): void;
  /** The next `count` writes and syncs of segments, and creations of metadata, take a while. */
  slow(count: number): void;
  /** Writes to segments wait until the returned function is called. */
  hold(): () => void;
  /** The next `count` links into the directory fail: with ENOSPC it is certain that they did. */
  failLinks(directory: string, count: number, code?: "EIO" | "ENOSPC"): void;
  /** Calls that have failed so far. */
  readonly failed: number;
}

/** Only segments are appended to, and only segments have their data synced. */
export function failingFiles(): FailingFiles {
  const node = nodeEnvironment();
  const armed = new Map<FailingCall, { code: string; left: number }>();
  let failed = 0;
  let slowLeft = 0;
  let held: Promise<void> = Promise.resolve();
  let links = { directory: "", left: 0, code: "EIO" };
  const pause = async (): Promise<void> => {
    if (slowLeft === 0) return;
    slowLeft--;
    await new Promise((resolve) => setTimeout(resolve, 3 + (slowLeft % 4) * 4));
  };
  const check = (call: FailingCall, path: string): void => {
    const plan = armed.get(call);
    if (plan === undefined || plan.left === 0) return;
    plan.left--;
    failed++;
    throw Object.assign(new Error(`${plan.code}: ${call} ${path}`), { code: plan.code });
  };
  const wrap = (file: WritableFile, isSegment: () => boolean): WritableFile => ({
    path: file.path,
    write: async (bytes) => {
      if (isSegment()) {
        check("write", file.path);
        await held;
        await pause();
      }
      await file.write(bytes);
    },
    sync: () => file.sync(),
    syncData: async () => {
      check("sync", file.path);
      await pause();
      await file.syncData();
    },
    close: () => file.close(),
  });
  const target: FileSystem = node.fileSystem;
  const fileSystem = new Proxy({} as FileSystem, {
    get(_self, name: keyof FileSystem) {
      if (name === "create") {
        return async (path: string) => {
          const isSegment = /[/]files[/][0-9a-f]{32}$/.test(path);
          if (isSegment) check("create", path);
          let isBegun = false; // The header is written while it is created.
          return wrap(await target.create(path), () => {
            const isNext = isBegun;
            isBegun = true;
            return isSegment && isNext;
          });
        };
      }
      if (name === "link") {
        return async (existing: string, path: string) => {
          if (path.includes("/metadata/")) await pause();
          if (links.left > 0 && path.startsWith(links.directory)) {
            links.left--;
            throw Object.assign(new Error(`${links.code}: link`), { code: links.code });
          }
          await target.link(existing, path);
        };
      }
      const value = target[name];
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
  return {
    environment: { ...node, fileSystem },
    slow: (count) => {
      slowLeft = count;
    },
    hold: () => {
      let release = (): void => undefined;
      held = new Promise((resolve) => (release = resolve));
      return () => release();
    },
    failLinks: (directory, count, code = "EIO") => {
      links = { directory, left: count, code };
    },
    arm: (call, code, count) => armed.set(call, { code, left: count }),
    get failed() {
      return failed;
    },
  };
}
