// All parts, in the order in which they run.
import { bitflip } from "./bitflip/bitflip.ts";
import { crashStates } from "./crash-states/crash-states.ts";
import { crash } from "./crash/crash.ts";
import { exactlyOnce } from "./exactly-once/exactly-once.ts";
import { fuzz } from "./fuzz/fuzz.ts";
import { hostile } from "./hostile/hostile.ts";
import { ioErrors } from "./io-errors/io-errors.ts";
import { model } from "./model/model.ts";
import { mutants } from "./mutants/mutants.ts";
import type { Part } from "./part.ts";
import { powerCut } from "./power-cut/power-cut.ts";
import { sim } from "./sim/sim.ts";
import { soak } from "./soak/soak.ts";

export const parts: readonly Part[] = [
  fuzz,
  bitflip,
  ioErrors,
  crash,
  mutants,
  model,
  exactlyOnce,
  hostile,
  crashStates,
  powerCut,
  sim,
  soak,
];
