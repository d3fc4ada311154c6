// Power cuts on a real file system: a job on a loop-mounted image is killed, and the image is copied at once,
// without what the inner file system had not written yet. The kernel replays the journal of the copy, and
// a new process restores from it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import type { CheckpointPolicy } from "../../../src/index.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { ownTree } from "../build/tree.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import type { JobStart } from "../workload/job.process.ts";
import { runJob } from "../workload/run-job.ts";

type Kind = "ext4" | "xfs";

/** XFS has a minimum of 300 MB; the image is sparse. */
const IMAGE_MIB: Readonly<Record<Kind, number>> = { ext4: 64, xfs: 320 };
const policies: readonly CheckpointPolicy[] = ["full", "incremental", "changelog"];

function command(file: string, ...args: readonly string[]): string | undefined {
  const { status, error, stderr } = spawnSync(file, args, { encoding: "utf8" });
  if (status === 0) return undefined;
  return `${file} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`;
}

function must(file: string, ...args: readonly string[]): void {
  const failure = command(file, ...args);
  if (failure !== undefined) throw new Error(failure);
}

function has(file: string): boolean {
  return spawnSync(file, ["-V"]).error === undefined;
}

class PowerCutRun implements PartRun {
  readonly #kinds: readonly Kind[];
  /** With synchronisation turned off the part must fail: VARVE_LYING_DISK=1 proves that it can. */
  readonly #isLying: boolean = process.env["VARVE_LYING_DISK"] === "1";

  constructor() {
    this.#kinds = (["ext4", "xfs"] as const).filter((kind) => has(`mkfs.${kind}`));
  }

  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const kind = this.#kinds[seed % this.#kinds.length]!;
    const root = quickDirectory("varve-power-");
    try {
      await this.#cut(kind, seed, root, tally);
    } finally {
      for (const name of ["live", "copy"]) command("umount", "-l", join(root, name));
      rmSync(root, { recursive: true, force: true });
    }
    return tally;
  }

  async #cut(kind: Kind, seed: number, root: string, tally: Tally): Promise<void> {
    const [image, copy] = [join(root, "image"), join(root, "image-copy")];
    must("truncate", "-s", `${IMAGE_MIB[kind]}M`, image);
    must(`mkfs.${kind}`, "-q", image);
    const [live, again] = [join(root, "live"), join(root, "copy")];
    mkdirSync(live);
    mkdirSync(again);
    must("mount", "-o", "loop", image, live);
    const random = seededRandom(seed);
    const start: JobStart = {
      root: join(live, "job"),
      seed,
      backend: "lsm",
      policy: policies[Math.floor(seed / 2) % 3]!,
      localRecovery: false,
      restoreVerification: "before",
      checkpoints: 30,
    };
    const count = 1 + Math.floor(random() * 6);
    const kill = { word: "completed", count, delayMs: random() * 30 } as const;
    const end = await runJob({
      start,
      tree: ownTree,
      kill,
      afterKill: () => must("cp", "--sparse=always", image, copy),
      wrapper: this.#isLying ? ["eatmydata"] : undefined,
    });
    const acknowledged = end.acknowledgedAtKill;
    if (!existsSync(copy) || acknowledged === undefined) {
      tally.fail("notCut", `${end.ended}: ${end.errors}`);
      return;
    }
    must("umount", live);
    must("mount", "-o", kind === "xfs" ? "loop,nouuid" : "loop", copy, again);
    const next = await runJob({
      start: { ...start, root: join(again, "job"), checkpoints: 2 },
      tree: ownTree,
    });
    tally.trials++;
    tally.count(kind);
    const what = `${kind}, ${start.policy}, acknowledged ${acknowledged}`;
    if (next.ended !== "done") tally.fail("notRecovered", `${next.errors.slice(-500)}, ${what}`);
    else if (next.restored! < acknowledged) tally.fail("lost", `${next.restored}, ${what}`);
    for (const [fault, text] of next.faults) tally.fail(fault, `${text}, ${what}`);
  }

  details(): Readonly<Record<string, unknown>> {
    const missing = (["ext4", "xfs"] as const).filter((kind) => !this.#kinds.includes(kind));
    if (missing.length === 0) return {};
    return { notRunKinds: `because there is no mkfs.${missing.join(", mkfs.")}` };
  }

  async close(): Promise<void> {}
}

function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "mounting takes root";
  if (!has("mkfs.ext4") && !has("mkfs.xfs")) return "there is no mkfs.ext4 and no mkfs.xfs";
  const root = quickDirectory("varve-power-");
  try {
    const kind = has("mkfs.ext4") ? "ext4" : "xfs";
    must("truncate", "-s", `${IMAGE_MIB[kind]}M`, join(root, "image"));
    must(`mkfs.${kind}`, "-q", join(root, "image"));
    mkdirSync(join(root, "live"));
    const failure = command("mount", "-o", "loop", join(root, "image"), join(root, "live"));
    command("umount", join(root, "live"));
    return failure;
  } catch (error) {
    return String(error);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

export const powerCut: Part = {
  name: "power-cut",
  what: "a job on loop-mounted ext4 and XFS loses its power",
  unit: "cuts",
  asked: 2000,
  sliceSeeds: 2,
  obstacle,
  open: async () => new PowerCutRun(),
};
