// The crafted checkpoints of `npm run check:hostile`, each in a process that strace watches.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { canTrace } from "../../support/tracer.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";

const SHARDS = 50;
const check = fileURLToPath(new URL("../../hostile/check-hostile.js", import.meta.url));

interface Line {
  readonly case?: string;
  readonly check?: string;
  readonly ok: boolean;
  readonly cases?: number;
  readonly rejected?: number;
  readonly skipped?: number;
  readonly faults?: readonly string[];
  readonly effectsOutside?: readonly unknown[] | null;
}

class HostileRun implements PartRun {
  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const args = [check, "--json", "--shard", `${seed}/${SHARDS}`];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
    await once(child, "close");
    const lines = output.split("\n").filter((line) => line !== "");
    let isSummedUp = false;
    for (const text of lines) {
      const line = JSON.parse(text) as Line;
      if (line.check === "hostile") {
        isSummedUp = true;
        tally.count("rejected", line.rejected ?? 0);
        tally.count("skipped", line.skipped ?? 0);
        continue;
      }
      tally.trials++;
      if (!line.ok) tally.fail("accepted", `${line.case}: ${text}`);
    }
    if (!isSummedUp) tally.fail("unexpected", `the check ended early: ${output.slice(-200)}`);
    return tally;
  }

  async close(): Promise<void> {}
}

export const hostile: Part = {
  name: "hostile",
  what: "crafted checkpoints: all refused, no effect outside",
  unit: "crafted checkpoints",
  asked: 60,
  sliceSeeds: 1,
  lastSeed: SHARDS,
  trialSecondsMax: 400,
  obstacle: () => (canTrace() ? undefined : "effects outside cannot be seen: there is no strace"),
  open: async () => new HostileRun(),
};
