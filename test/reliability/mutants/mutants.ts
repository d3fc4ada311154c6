// Planted bugs: the programme is worth what it notices.
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import { mutants as catalog } from "./catalog.ts";
import { record } from "./record.ts";
import { runMutant } from "./run-mutant.ts";

class MutantsRun implements PartRun {
  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const mutant = catalog[seed - 1]!;
    const { isCaught, how } = await runMutant(mutant);
    tally.trials = 1;
    if (isCaught) {
      tally.count("caught");
      if (process.env["VARVE_RECORD_MUTANTS"] === "1") record(mutant, how);
    }
    if (!isCaught) tally.fail("missed", `${mutant.name} by ${mutant.part}: ${how}`);
    return tally;
  }

  async close(): Promise<void> {}
}

export const mutants: Part = {
  name: "mutants",
  what: "planted bugs: each must be noticed by its part",
  unit: "planted bugs",
  asked: 30,
  sliceSeeds: 3,
  lastSeed: catalog.length,
  trialSecondsMax: 600,
  open: async () => new MutantsRun(),
};
