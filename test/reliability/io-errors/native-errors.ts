// System calls of a job on LevelDB fail, those of LevelDB's own threads among them: strace gives them an error,
// once or from one on for ever. The job may go on or end with a typed error; what it said was complete is
// there in its next life, and nothing is left that nobody references.
import { spawn } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { type CheckpointPolicy, fileSystemStorage } from "../../../src/index.ts";
import { auditStorage } from "../../support/storage-audit.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { tracerCommand } from "../../support/tracer.ts";
import { ownTree } from "../build/tree.ts";
import type { Tally } from "../part.ts";
import type { JobStart } from "../workload/job.process.ts";
import { type JobEnd, runJob } from "../workload/run-job.ts";

const policies: readonly CheckpointPolicy[] = ["full", "incremental", "changelog"];
const codes = ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "ENOMEM"] as const;

const WRITE = "write";
/** Until strace is there, and has seen a few files. */
const CHECKPOINTS_OF_WRITES = 30;
/** What LevelDB writes: logs, which it writes most, tables, and MANIFESTs. */
const written: readonly ((digits: string) => string)[] = [
  (digits) => `${digits}.log`,
  (digits) => `${digits}.log`,
  (digits) => `${digits}.ldb`,
  (digits) => `MANIFEST-${digits}`,
];
/** How many numbers above those of the files that are there. */
const FILES_AHEAD = 60;

/** Calls, and about how often a thread makes each in a life of six checkpoints: strace counts by thread. */
const calls = [
  [WRITE, 8],
  ["fdatasync", 40],
  ["fsync", 60],
  ["rename", 20],
  ["link", 30],
  ["unlink", 40],
  ["mkdir", 8],
  ["pwrite64", 30],
  ["ftruncate", 2],
] as const;

/** Of the job that is tried, not of what it tries. */
const isOwnError = /transactional-file-sink/;

export async function attemptNative(seed: number, tally: Tally): Promise<void> {
  const random = seededRandom(seed);
  const choose = (below: number): number => Math.floor(random() * below);
  const root = quickDirectory("varve-io-native-");
  const [call, often] = calls[choose(calls.length)]!;
  const code = codes[choose(codes.length)]!;
  const inject = `inject=${call}:error=${code}:when=${1 + choose(often)}${choose(2) === 0 ? "" : "+"}`;
  const policy = policies[choose(3)]!;
  const startOf = (checkpoints: number): JobStart => {
    return { ...jobOf(root, seed), policy, checkpoints };
  };
  const what = `${policy}, ${inject}`;
  try {
    const before = await runJob({ start: startOf(2), tree: ownTree });
    let refusal: Promise<string> = Promise.resolve("");
    const disturbed = await runJob(
      call === WRITE
        ? {
            start: startOf(CHECKPOINTS_OF_WRITES),
            tree: ownTree,
            afterRestore: (processId) => {
              refusal = failWrites(root, processId, inject, random());
            },
          }
        : { start: startOf(6), tree: ownTree, wrapper: [...traced(call), "-e", inject] },
    );
    if ((await refusal) !== "") {
      tally.count("nativeNotTraced"); // Only descendants can be traced here, or it had ended before.
      return;
    }
    tally.trials++;
    judge(disturbed, what, tally);
    const told = disturbed.completed.at(-1) ?? before.completed.at(-1) ?? 0;
    const after = await runJob({ start: startOf(2), tree: ownTree });
    if (before.ended !== "done" || after.ended !== "done") {
      const errors = before.errors || after.errors;
      const kind = errors.includes("AssertionError") ? "wrong" : "notRecovered";
      tally.fail(kind, `${errors.slice(-400)}, ${what}`);
      return;
    }
    if (after.restored! < told) tally.fail("lost", `${after.restored} after ${told}, ${what}`);
    for (const [fault, where] of [...disturbed.faults, ...after.faults]) {
      tally.fail(fault, `${where}, ${what}`);
    }
    await audit(root, what, tally);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function traced(call: string): string[] {
  return [...tracerCommand, "-o", "/dev/null", "-e", `trace=${call}`];
}

/**
 * Writes of LevelDB's own files, of one kind, present and to come. Others are not failed: Node.js
 * wakes its threads by `write`, and ends at once where that fails. Resolves, once the process has ended,
 * to what strace says if it could not trace it.
 */
function failWrites(
  root: string,
  processId: number,
  inject: string,
  kind: number,
): Promise<string> {
  const work = join(root, "work");
  const name = readdirSync(work).find((entry) => entry.startsWith("db-"));
  if (name === undefined) throw new Error(`no database in ${work}`);
  const files = readdirSync(join(work, name));
  const numbers = files.map((file) => Number(/\d{6,}/u.exec(file)?.[0] ?? 0));
  const above = Array.from({ length: FILES_AHEAD }, (_, i) => Math.max(...numbers) + 1 + i);
  const nameOf = written[Math.floor(kind * written.length)]!;
  const only = [...numbers, ...above].flatMap((number) => {
    return ["-P", join(work, name, nameOf(String(number).padStart(6, "0")))];
  });
  const [file, ...args] = [...traced(WRITE), "-e", inject, ...only, "-p", String(processId)];
  return text(spawn(file!, args, { stdio: ["ignore", "ignore", "pipe"] }).stderr);
}

function jobOf(root: string, seed: number): Omit<JobStart, "policy" | "checkpoints"> {
  const localRecovery = seed % 5 === 0;
  return { root, seed, backend: "lsm", localRecovery, restoreVerification: "before" };
}

/** Whatever fails it tells, by a code. */
function judge({ ended, errors }: JobEnd, what: string, tally: Tally): void {
  if (ended === "done") tally.count("nativeWithstood");
  else if (ended === "failed" && /code: 'VARVE_[A-Z_]+'/.test(errors)) tally.count("nativeTold");
  else if (ended === "failed" && isOwnError.test(errors)) tally.count("nativeOfTheJob");
  else tally.fail(ended === "failed" ? "untyped" : ended, `${errors.slice(-400)}, ${what}`);
}

async function audit(root: string, what: string, tally: Tally): Promise<void> {
  const storage = fileSystemStorage(join(root, "checkpoints"));
  const { missing, unreadable, unreferenced } = await auditStorage(storage);
  const lost = [...missing, ...unreadable];
  if (lost.length > 0) tally.fail("lost", `${lost.join(" ")}, ${what}`);
  if (unreferenced.length > 0) tally.fail("leaked", `${unreferenced.join(" ")}, ${what}`);
}
