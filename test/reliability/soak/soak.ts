// Two jobs side by side in a process of their own, with churn: memory, handles, files and threads stay flat.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { quickDirectory } from "../../support/subjects.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import { type Sample, compare } from "./samples.ts";

const entry = fileURLToPath(new URL("soak.process.js", import.meta.url));
const SECONDS = 20;
class SoakRun implements PartRun {
  #last: Readonly<Record<string, number>> = {};

  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const root = quickDirectory("varve-soak-");
    try {
      const samples = await sampled(root, seed);
      this.#judge(samples, tally);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
    return tally;
  }

  #judge(samples: readonly Sample[], tally: Tally): void {
    const compared = compare(samples);
    if (compared === undefined) {
      tally.fail("tooShort", `${samples.length} samples`);
      return;
    }
    for (const { name, early, late, grows } of compared) {
      this.#last = { ...this.#last, [`${name}Early`]: early, [`${name}Late`]: late };
      if (grows) tally.fail("grows", `${name}: ${early}, then ${late}`);
    }
    tally.trials = 1;
    tally.count("samples", samples.length);
    tally.count("checkpoints", samples.at(-1)!.checkpoints);
  }

  details(): Readonly<Record<string, unknown>> {
    return { last: this.#last };
  }

  async close(): Promise<void> {}
}

async function sampled(root: string, seed: number): Promise<Sample[]> {
  const args = ["--expose-gc", entry, root, String(seed), String(SECONDS)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  const samples: Sample[] = [];
  for await (const line of createInterface(child.stdout)) samples.push(JSON.parse(line) as Sample);
  const [status] = (await closed) as [number | null];
  if (status !== 0) throw new Error(`the soak ended with status ${status}`);
  return samples;
}

export const soak: Part = {
  name: "soak",
  what: "load for a while: memory, handles, files and threads stay flat",
  unit: "soaks of 20 s",
  asked: 72,
  sliceSeeds: 1,
  trialSecondsMax: 200,
  open: async () => new SoakRun(),
};
