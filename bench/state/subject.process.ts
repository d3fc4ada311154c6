// Child process: one backend, one operation, one type of key.
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { serve } from "../support/child.ts";
import { openBareMap } from "./bare-map.ts";
import { BareLevel, levelRunCalls } from "./bare-level.ts";
import { type Inputs, inputsOf } from "./inputs.ts";
import { type Assignment, type Subject, type Timing, isValueCall } from "./operations.ts";
import { VarveList, VarveMap } from "./varve-collections.ts";
import { VarveReducing, VarveValue } from "./varve-value.ts";

/** Everything fits: these operations are hot. */
const memoryBudgetBytes = 3072 * MIB;

class Worker {
  readonly #subject: Subject;
  readonly #assignment: Assignment;
  readonly #inputs: Inputs;
  readonly #runCalls: number;
  #next = 0;
  #sum = 0;

  constructor(subject: Subject, assignment: Assignment, inputs: Inputs) {
    this.#subject = subject;
    this.#assignment = assignment;
    this.#inputs = inputs;
    this.#runCalls = assignment.backend === "classic-level" ? levelRunCalls : 2000;
  }

  async fill(): Promise<void> {
    await this.#inRuns(this.#assignment.operation.keys, (first, end) =>
      this.#subject.fill(first, end),
    );
    await delay(200);
  }

  /** A pass, or calls for about so long. */
  async repetition(ms: number): Promise<Timing> {
    const { passCalls } = this.#assignment.operation;
    if (passCalls === undefined) return this.#timed(ms);
    await this.#inRuns(passCalls, (first, end) => this.#subject.undo(first, end));
    const start = performance.now();
    await this.#inRuns(passCalls, (first, end) => {
      this.#sum += this.#subject.run(first, end);
    });
    this.#next = passCalls;
    return { calls: passCalls, ms: performance.now() - start };
  }

  async #timed(ms: number): Promise<Timing> {
    const first = this.#next;
    const start = performance.now();
    let elapsed = 0;
    while (elapsed < ms) {
      await this.#step();
      elapsed = performance.now() - start;
    }
    return { calls: this.#next - first, ms: elapsed };
  }

  /** Goes on until so many calls were made in all, so that the states can be compared. */
  async runTo(calls: number): Promise<number> {
    while (this.#next < calls) await this.#step();
    return this.#next;
  }

  async #step(): Promise<void> {
    const end = this.#next + this.#runCalls;
    this.#sum += this.#subject.run(this.#next, end);
    this.#next = end;
    const settled = this.#subject.settle();
    if (settled !== undefined) await settled;
  }

  async checksum(): Promise<string> {
    let checksum = 0;
    const keys = Math.min(this.#inputs.checkedCount, this.#assignment.checkedKeys);
    await this.#inRuns(keys, (first, end) => {
      checksum = this.#subject.fold(checksum, first, end);
    });
    const hasPasses = this.#assignment.operation.passCalls !== undefined;
    return `${checksum}/${hasPasses ? "" : this.#sum.toPrecision(10)}`;
  }

  async #inRuns(count: number, body: (first: number, end: number) => void): Promise<void> {
    for (let first = 0; first < count; first += this.#runCalls) {
      body(first, Math.min(count, first + this.#runCalls));
      const settled = this.#subject.settle();
      if (settled !== undefined) await settled;
    }
  }

  close(): Promise<void> {
    return this.#subject.close();
  }
}

async function open(assignment: Assignment, inputs: Inputs): Promise<Subject> {
  const { backend, directory } = assignment;
  const { call } = assignment.operation;
  if (backend === "map") return openBareMap(inputs, call);
  if (backend === "classic-level") return BareLevel.open(directory, inputs, call);
  const opened = await openKeyedStateBackend({
    backend,
    workingDirectory: join(directory, "working"),
    checkpointStorage: fileSystemStorage(join(directory, "checkpoints")),
    restore: "latest-or-new",
    memoryBudgetBytes,
  });
  if (call.startsWith("list")) return new VarveList(opened, inputs, call);
  if (isValueCall(call)) return new VarveValue(opened, inputs, call);
  if (call === "reducingAdd") return new VarveReducing(opened, inputs);
  return new VarveMap(opened, inputs, call);
}

let worker: Worker | undefined;

function started(): Worker {
  if (worker === undefined) throw new Error("nothing was assigned yet");
  return worker;
}

serve(
  {
    async open(assignment: Assignment) {
      const inputs = inputsOf(assignment.operation, assignment.keyType);
      worker = new Worker(await open(assignment, inputs), assignment, inputs);
      await worker.fill();
    },
    repetition: (ms: number) => started().repetition(ms),
    runTo: (calls: number) => started().runTo(calls),
    checksum: () => started().checksum(),
  },
  () => worker?.close(),
);
