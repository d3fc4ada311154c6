// What a traced process did to the file system: reads what `strace -f -y` wrote.
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { tracedCalls } from "../support/tracer.ts";

/** Every call that can change a name, a file's bytes or its mode. */
export const TRACED_CALLS: string = [
  "open,openat,openat2,creat,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,symlink",
  "symlinkat,mkdir,mkdirat,mknod,mknodat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat",
  "truncate,ftruncate,utimensat,setxattr,lsetxattr,fsetxattr,removexattr",
].join(",");

/** What may be written anywhere: devices that keep nothing, and what the kernel makes up. */
const ALLOWED = ["/dev/null", "/dev/tty", "/proc/", "pipe:", "socket:", "anon_inode:"];

export interface Effect {
  readonly call: string;
  readonly path: string;
}

/** Effects of calls that succeeded, outside `root`, of which all symbolic links are resolved. */
export function effectsOutside(trace: string, root: string): Effect[] {
  return tracedCalls(trace)
    .flatMap(effectsOf)
    .filter(({ path }) => !isInside(path, root) && !isAllowed(path));
}

function effectsOf(line: string): Effect[] {
  const [, call = "", args = "", result = ""] = /^(\w+)\((.*)\)\s+= (.*)$/.exec(line) ?? [];
  if (call === "" || result.startsWith("-1")) return [];
  if (call.startsWith("open") || call === "creat") {
    const writes = call === "creat" || /\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND)\b/.test(args);
    const opened = /^\d+<(.*)>/.exec(result)?.[1];
    return writes && opened !== undefined
      ? [{ call, path: opened.replace(/ \(deleted\)$/, "") }]
      : [];
  }
  const byDescriptor = /^\d+<([^>]*)>/.exec(args)?.[1];
  const names = [...args.matchAll(/(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"/g)].map(
    ([, directory = "", name = ""]) => resolve(directory === "" ? "/" : directory, name),
  );
  if (names.length === 0) return byDescriptor === undefined ? [] : [{ call, path: byDescriptor }];
  // The text of a symbolic link is no path that anything happens to.
  const changed = call.startsWith("symlink") ? names.slice(-1) : names;
  // A hard link changes nothing at the name that exists.
  const made = call.startsWith("link") ? changed.slice(-1) : changed;
  return made.map((path) => ({ call, path: realName(path) }));
}

/** The path of a name, which may be gone, in the directory that it really was in. */
function realName(path: string): string {
  const parent = dirname(path);
  if (parent === path) return path;
  const real = existsSync(parent) ? realpathSync(parent) : realName(parent);
  return join(real, basename(path));
}

function isInside(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}

function isAllowed(path: string): boolean {
  return ALLOWED.some((allowed) => path.startsWith(allowed));
}
