// When a copy takes the place of a hard link.

/** What says that a link is impossible here but a copy may do. */
export const linkRefusals: ReadonlySet<string> = new Set([
  "EXDEV",
  "EPERM",
  "EACCES",
  "EMLINK",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
]);
