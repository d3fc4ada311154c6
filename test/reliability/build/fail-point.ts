// What `//# fail point: name` is in a test build: the process dies there, if it is told to.
let wanted: { readonly name: string; hitsLeft: number } | undefined;

const [name = "", hit = ""] = (process.env["VARVE_FAIL_POINT"] ?? "").split(" ");
if (name !== "") wanted = { name, hitsLeft: Number(hit) };

/** Each thread counts for itself. */
export function failPoint(name: string): void {
  if (wanted === undefined || wanted.name !== name || --wanted.hitsLeft > 0) return;
  process.kill(process.pid, "SIGKILL");
}
