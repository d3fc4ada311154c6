// Goal: states over write buffer and drains are what plain objects would be, whatever is sealed,
// drained, evicted, read back, prefetched or restarted in between.
// Method: random operations with a fixed seed, in a buffer of a few chunks over a store that takes
// each step of a drain separately: requested, written, and only later known to be written.
import { test } from "vitest";
import { Model, declareStates, modelKeys } from "./model.ts";
import { Rig } from "./buffer-rig.ts";
import { seededRandom } from "../../src/environment/seeded-random.ts";

async function run(seed: number, steps: number, chunks: number): Promise<void> {
  const next = seededRandom(seed);
  const random = (below: number): number => Math.floor(next() * below);
  let rig = new Rig(chunks);
  let states = declareStates(rig.backend);
  const model = new Model();
  const history: string[] = [];
  const note = (what: string): void => {
    history.push(what);
  };
  const sealEvery = 3 + random(30);
  try {
    for (let step = 0; step < steps; step++) {
      const action = random(sealEvery * 4);
      if (action === 0) {
        note("cut");
        rig.cut();
      } else if (action < 4) {
        note("apply");
        await rig.apply();
      } else if (action < 7) {
        note("resolve");
        await rig.resolve(random(8) === 0 ? "prefetch" : "drain");
      } else if (action === 7) {
        note("fill");
        for (let count = random(12); count > 0; count--) {
          await rig.relieve();
          model.fill(rig.backend, states, 8000);
        }
      } else if (action === 8) {
        note("prefetch");
        void rig.backend.prefetch(modelKeys);
      } else if (action === 9 && random(20) === 0) {
        note("restart");
        rig = new Rig(chunks, await rig.image());
        states = declareStates(rig.backend);
      }
      await rig.relieve();
      note(model.step(rig.backend, states, random));
      if (step % 64 === 0) rig.checkAccounts();
    }
    model.check(rig.backend, states);
    const restarted = new Rig(chunks, await rig.image());
    model.check(restarted.backend, declareStates(restarted.backend));
  } catch (error) {
    const last = history.slice(-40).join(" ");
    throw new Error(`seed ${seed}, step ${history.length}: ${String(error)}; last: ${last}`, {
      cause: error,
    });
  }
}

const firstSeed = Number(process.env["VARVE_SEED"] ?? 1);
const runs = Number(process.env["VARVE_RUNS"] ?? 20);

for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
  const chunks = 12 + (seed % 4) * 4;
  test(`states are what plain objects would be: seed ${seed}, ${chunks} chunks`, async () => {
    await run(seed, 1500, chunks);
  });
}
