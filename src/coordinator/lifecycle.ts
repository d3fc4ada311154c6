// The life of one checkpoint: a union of phases and one pure function that makes the next of it.
//   L1. A checkpoint completes at most once, and only after every task has acknowledged it and its
//       metadata is durable.
//   L2. From the moment its metadata is being written only the storage decides: neither a timeout
//       nor a decline nor a stop takes it back.
//   L3. An unknown outcome is a phase of its own: neither completed nor aborted until it is decided.
//   L4. Completed, subsumed and aborted checkpoints never come back.
import { fail, unreachable } from "../common/assert.ts";
import type { CheckpointAbortReason } from "../errors.ts";

// triggered ──last ack──▶ acknowledged ──its turn──▶ finalizing ──durable──▶ completed ──▶ subsumed
//     │                        │                     │      ▲ │
//     │                        │              not written   │ └─outcome unknown─▶ undecided ─┐
//     └──────── abort ─────────┴──▶ aborted ◀────────┘      └───────── written again ────────┘
export type CheckpointLife =
  | { readonly phase: "triggered"; readonly missing: number } // Tasks that have not acknowledged.
  | { readonly phase: "acknowledged" }
  | { readonly phase: "finalizing"; readonly completionNumber: number }
  | { readonly phase: "undecided" }
  | { readonly phase: "completed"; readonly completionNumber: number }
  | { readonly phase: "subsumed" }
  | { readonly phase: "aborted"; readonly reason: CheckpointAbortReason };

export type CheckpointPhase = CheckpointLife["phase"];

export type LifeStep =
  | { readonly step: "acknowledge" } // One task that had not.
  | { readonly step: "finalize"; readonly completionNumber: number } // Its metadata is written.
  | { readonly step: "complete" } // It is durable.
  | { readonly step: "doubt" } // Whether it is durable is not known.
  | { readonly step: "refute" } // It does not exist, and never will.
  | { readonly step: "abort"; readonly reason: CheckpointAbortReason }
  | { readonly step: "subsume" };

/** The life of a checkpoint that is triggered at `taskCount` tasks. */
export function newLife(taskCount: number): CheckpointLife {
  return { phase: "triggered", missing: taskCount };
}

/** The life after the step; InvariantViolation if the phase does not allow it. */
export function advanceLife(life: CheckpointLife, step: LifeStep): CheckpointLife {
  switch (step.step) {
    case "acknowledge":
      if (life.phase !== "triggered") return illegal(life, step);
      return life.missing > 1
        ? { phase: "triggered", missing: life.missing - 1 }
        : { phase: "acknowledged" };
    case "finalize":
      if (life.phase !== "acknowledged" && life.phase !== "undecided") return illegal(life, step);
      return { phase: "finalizing", completionNumber: step.completionNumber };
    case "complete":
      if (life.phase !== "finalizing") return illegal(life, step); // L1
      return { phase: "completed", completionNumber: life.completionNumber };
    case "doubt":
      if (life.phase !== "finalizing") return illegal(life, step);
      return { phase: "undecided" }; // L3
    case "refute":
      if (life.phase !== "finalizing") return illegal(life, step);
      return { phase: "aborted", reason: "storage" };
    case "abort":
      if (life.phase !== "triggered" && life.phase !== "acknowledged") return illegal(life, step);
      return { phase: "aborted", reason: step.reason }; // L2
    case "subsume":
      if (life.phase !== "completed") return illegal(life, step); // L4
      return { phase: "subsumed" };
    default:
      return unreachable(step);
  }
}

function illegal(life: CheckpointLife, step: LifeStep): never {
  return fail(`L1-L4: a checkpoint that is ${life.phase} cannot ${step.step}`);
}
