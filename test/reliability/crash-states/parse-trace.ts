// System calls that change files, from what `strace -f -y -xx` wrote: only of paths below a root.
import { tracedCalls } from "../../support/tracer.ts";

export type TracedCall =
  | { readonly kind: "create" | "unlink" | "makeDirectory" | "sync"; readonly path: string }
  | { readonly kind: "write"; readonly path: string; readonly bytes: Buffer }
  | { readonly kind: "link" | "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "said"; readonly line: string };

/** The calls that `parseTrace` knows. One that copies bytes unseen would make the trace useless. */
export const STATE_CALLS: string = [
  "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink",
  "unlinkat,rmdir,mkdir,mkdirat,ftruncate,copy_file_range,sendfile",
].join(",");

const UNSEEN = new Set(["pwrite64", "writev", "ftruncate", "copy_file_range", "sendfile"]);

export function parseTrace(trace: string, root: string): TracedCall[] {
  return tracedCalls(trace).flatMap((line) => callOf(line, root) ?? []);
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll("\\x", ""), "hex");
}

function callOf(line: string, root: string): TracedCall | undefined {
  const [, name = "", args = "", result = ""] = /^(\w+)\((.*)\)\s+= (.*)$/.exec(line) ?? [];
  if (name === "" || result.startsWith("-1")) return undefined;
  const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)];
  if (name === "writev" && args.startsWith("1<")) {
    return {
      kind: "said",
      line: strings
        .map(([, text = ""]) => unhex(text))
        .join("")
        .trim(),
    };
  }
  if (name === "write") {
    const path = /^\d+<((?:\\x[0-9a-f]{2})*)>/.exec(args)?.[1] ?? "";
    const bytes = unhex(strings[0]?.[1] ?? "").subarray(0, Number(result));
    if (strings[0]?.[2] !== undefined) throw new Error("a write is longer than the trace shows");
    const file = unhex(path).toString();
    return file.startsWith(root) ? { kind: "write", path: file, bytes } : undefined;
  }
  const descriptorPath = unhex(/^\d+<((?:\\x[0-9a-f]{2})*)>/.exec(args)?.[1] ?? "").toString();
  const isOurs = descriptorPath.startsWith(root);
  if (UNSEEN.has(name)) {
    if (isOurs) throw new Error(`${name} of ${descriptorPath}: not known here`);
    return undefined;
  }
  if (name === "fsync" || name === "fdatasync") {
    return isOurs ? { kind: "sync", path: descriptorPath } : undefined;
  }
  const paths = strings.map(([, text = ""]) => unhex(text).toString());
  const [path = "", to = ""] = paths;
  if (!path.startsWith(root)) return undefined;
  if (name === "openat") return args.includes("O_CREAT") ? { kind: "create", path } : undefined;
  if (name === "mkdir" || name === "mkdirat") return { kind: "makeDirectory", path };
  if (name.startsWith("link")) return { kind: "link", from: path, to };
  if (name.startsWith("rename")) return { kind: "rename", from: path, to };
  return { kind: "unlink", path }; // unlink, unlinkat, rmdir
}
