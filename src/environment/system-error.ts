// Errors as Node's `fs` throws them, for what the system itself does not report.

const messages: Readonly<Record<string, string>> = {
  EBADF: "bad file descriptor",
  EEXIST: "file already exists",
  EINVAL: "invalid argument",
  EISDIR: "illegal operation on a directory",
  ELOOP: "too many symbolic links encountered",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  ENOTEMPTY: "directory not empty",
  EPERM: "operation not permitted",
};

/** An error with the fields that Node's have. */
export function systemError(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  const message = `${code}: ${messages[code] ?? "operation failed"}, ${syscall} '${path}'`;
  return Object.assign(new Error(message), { code, syscall, path });
}

/** Bytewise order of UTF-8 names, which differs from JavaScript's beyond U+FFFF. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
