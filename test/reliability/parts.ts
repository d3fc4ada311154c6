// All parts, in the order in which they run.
import { bitflip } from "./bitflip/bitflip.ts";
import { crash } from "./crash/crash.ts";
import { ioErrors } from "./io-errors/io-errors.ts";
import { fuzz } from "./fuzz/fuzz.ts";
import { mutants } from "./mutants/mutants.ts";
import type { Part } from "./part.ts";

export const parts: readonly Part[] = [fuzz, bitflip, ioErrors, crash, mutants];
