// Every call of the environment fails, with each of ten errors, before or after its effect, once or for
// ever: nothing that was said to be done is missing, also after a loss of power; every error is typed;
// and once the disk is well, the job goes on and leaves no file behind.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { type Environment, fileSystemStorage } from "../../../src/index.ts";
import { memoryEnvironment, nodeEnvironment } from "../../../src/testing/index.ts";
import type { MemoryEnvironment } from "../../../src/testing/index.ts";
import { orderChecked } from "../../support/order-checker.ts";
import { auditStorage } from "../../support/storage-audit.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { canTrace } from "../../support/tracer.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import {
  ERROR_CODES,
  type Fault,
  type FaultyEnvironment,
  faultyEnvironment,
} from "./faulty-environment.ts";
import { attemptNative } from "./native-errors.ts";
import { Scenario, type Subject, subjects } from "./scenario.ts";

const WAYS = ERROR_CODES.length * 4;
/** Seeds of which one fails system calls instead: LevelDB's own go around the environment. */
const NATIVE_EVERY = 7;

class IoErrorsRun implements PartRun {
  readonly #calls = new Map<Subject, number>();
  readonly #canTrace = canTrace();
  /** Files that nobody closed, as Node.js tells when it collects their handles (F3 of node-file-system.ts). */
  readonly #dropped: string[] = [];
  readonly #hear = ({ message }: Error): void => {
    if (message.startsWith("Closing file descriptor")) this.#dropped.push(message);
  };

  constructor() {
    process.on("warning", this.#hear);
  }

  async trial(seed: number): Promise<TrialResult> {
    const tally = await this.#attemptOf(seed);
    // Of this life or of one before it: handles are collected some time later.
    for (const message of this.#dropped.splice(0))
      tally.fail("leaked", `${message}, told in a life of ${seed}`);
    return tally;
  }

  async #attemptOf(seed: number): Promise<Tally> {
    if (seed % NATIVE_EVERY === 0 && this.#canTrace) {
      const native = new Tally();
      await attemptNative(seed, native);
      return native;
    }
    const subject = subjects[seed % subjects.length]!;
    const calls = await this.#callsOf(subject);
    const tally = new Tally();
    // Far apart, and after `calls * WAYS` turns everything.
    const number = (Math.floor((seed - 1) / subjects.length) * 7919) % (calls * WAYS);
    await attempt(subject, faultAt(number, calls), tally);
    return tally;
  }

  /** Of an undisturbed life. On the real disk they differ a little from life to life. */
  async #callsOf(subject: Subject): Promise<number> {
    const known = this.#calls.get(subject);
    if (known !== undefined) return known;
    const tally = new Tally();
    const calls = await attempt(subject, undefined, tally);
    if (tally.failures.length > 0) throw new Error(`undisturbed: ${tally.failures.join("; ")}`);
    this.#calls.set(subject, calls);
    return calls;
  }

  details(): Readonly<Record<string, unknown>> {
    const calls = Object.fromEntries([...this.#calls].map(([{ name }, count]) => [name, count]));
    const systemCalls = this.#canTrace ? "traced" : "not run, because there is no strace";
    return { calls, ways: WAYS, systemCalls };
  }

  async close(): Promise<void> {
    process.off("warning", this.#hear);
  }
}

function faultAt(number: number, calls: number): Fault {
  const way = Math.floor(number / calls);
  return {
    call: number % calls,
    code: ERROR_CODES[way % ERROR_CODES.length]!,
    isForEver: way % 20 >= 10,
    isAfter: way >= 20,
  };
}

/** Calls of the life. */
async function attempt(subject: Subject, fault: Fault | undefined, tally: Tally): Promise<number> {
  tally.trials++;
  const isNative = subject.backend === "lsm";
  const root = isNative ? quickDirectory("varve-io-") : "/job";
  const inner = isNative ? nodeEnvironment() : memoryEnvironment();
  // Whatever fails, the order of what succeeds stays right; LevelDB and its threads go around it.
  const faulty = faultyEnvironment(isNative ? inner : orderChecked(inner, [root]));
  const own = new Tally();
  const scenario = new Scenario(subject, faulty.environment, root, own);
  const text = `${subject.name}, ${JSON.stringify(fault)}`;
  try {
    faulty.fault = fault;
    await scenario.run();
    faulty.fault = undefined;
    const lived = faulty.calls;
    count(faulty, scenario, tally);
    if (!isNative) await losePower(scenario, inner as MemoryEnvironment, text);
    await scenario.verify(faulty.environment, text);
    await scenario.recover();
    await scenario.verify(faulty.environment, text);
    await audit(root, faulty.environment, own, text);
    return lived;
  } catch (error) {
    own.fail("notRecovered", error instanceof Error ? (error.stack ?? "") : String(error));
    return faulty.calls;
  } finally {
    for (const failure of own.failures) {
      tally.fail(failure.split(":", 1)[0]!, `${text}, at ${faulty.failed[0]}: ${failure}`);
    }
    if (isNative && existsSync(root)) rmSync(root, { recursive: true, force: true });
  }
}

function count(faulty: FaultyEnvironment, { told }: Scenario, tally: Tally): void {
  if (faulty.failed.length === 0) tally.count("notReached");
  else tally.count(told.length === 0 ? "withstood" : "told");
}

/** What was acknowledged is there after a loss of power: all that was not synced may be gone, or a part. */
async function losePower(
  scenario: Scenario,
  { fileSystem }: MemoryEnvironment,
  text: string,
): Promise<void> {
  for (const mode of ["synced-only", seededRandom(text.length)] as const) {
    const survivor = memoryEnvironment({ fileSystem: fileSystem.crash(mode), seed: 77 });
    await scenario.verify(survivor, `power lost, ${text}`);
  }
}

async function audit(
  root: string,
  environment: Environment,
  tally: Tally,
  text: string,
): Promise<void> {
  const storage = fileSystemStorage(join(root, "checkpoints"), {}, environment);
  const { missing, unreadable, unreferenced } = await auditStorage(storage);
  if (missing.length + unreadable.length > 0) tally.fail("lost", `${missing.join(" ")}, ${text}`);
  if (unreferenced.length > 0) tally.fail("leaked", `${unreferenced.join(" ")}, ${text}`);
}

export const ioErrors: Part = {
  name: "io-errors",
  what: "every call of the environment fails, in forty ways, and system calls of LevelDB",
  unit: "lives with a failing call",
  asked: 40 * 4 * 300,
  sliceSeeds: 7, // The last one is native.
  open: async () => new IoErrorsRun(),
};
