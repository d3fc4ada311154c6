/** Kinds of violations. All counts are 0 if the promises hold. */
export const violationKinds = [
  "missingFiles", // A retained checkpoint references a file that is not there.
  "unreadable", // A retained checkpoint cannot be read.
  "leaks", // Something that nothing references is left one grace period later.
  "lost", // A checkpoint that tasks were told of is older than what the job goes on from.
  "wrongState", // A restored state differs from the model of its checkpoint.
  "pinnedDeleted", // A pinned checkpoint is gone.
  "idReused", // Ids of completed checkpoints do not increase.
  "fence", // An owner that another one has replaced completed a checkpoint after it.
  "unexpected", // An error that no operation explains.
] as const;
export type ViolationKind = (typeof violationKinds)[number];
