// Child process: one operation, on Varve or on a bare Map. Answers what native-bench's rivals answer.
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { serve } from "../support/child.ts";
import { MapValues } from "./map-values.ts";
import { type OperationInputs, operationInputs } from "./operation-inputs.ts";
import type { OperationAssignment, RivalChecksum, RivalTiming } from "./operations.ts";
import { type OperationSubject, openVarve } from "./varve-operations.ts";

/** Everything fits: these operations are hot. */
const memoryBudgetBytes = 3072 * MIB;
const runCalls = 2000;

class Worker {
  readonly #subject: OperationSubject;
  readonly #inputs: OperationInputs;
  readonly #passCalls: number;
  #next = 0;
  #sum = 0;

  constructor(subject: OperationSubject, inputs: OperationInputs, passCalls: number) {
    this.#subject = subject;
    this.#inputs = inputs;
    this.#passCalls = passCalls;
  }

  async fill(): Promise<void> {
    await this.#inRuns(this.#inputs.ordered.length, (first, end) => this.#subject.fill(first, end));
    await delay(200);
  }

  async runTo(calls: number): Promise<number> {
    while (this.#next < calls) await this.#step();
    return this.#next;
  }

  async repetition(millis: number): Promise<RivalTiming> {
    if (this.#passCalls > 0) return this.#pass();
    const first = this.#next;
    const start = performance.now();
    let elapsed = 0;
    while (elapsed < millis) {
      await this.#step();
      elapsed = performance.now() - start;
    }
    return { ops: this.#next - first, millis: elapsed };
  }

  async #pass(): Promise<RivalTiming> {
    await this.#inRuns(this.#passCalls, (first, end) => this.#subject.undo(first, end));
    const start = performance.now();
    await this.#inRuns(this.#passCalls, (first, end) => {
      this.#sum += this.#subject.run(first, end);
    });
    this.#next = this.#passCalls;
    this.#sum = 0;
    return { ops: this.#passCalls, millis: performance.now() - start };
  }

  async #step(): Promise<void> {
    const end = this.#next + runCalls;
    this.#sum += this.#subject.run(this.#next, end);
    this.#next = end;
    const settled = this.#subject.settle();
    if (settled !== undefined) await settled;
  }

  async #inRuns(count: number, body: (first: number, end: number) => void): Promise<void> {
    for (let first = 0; first < count; first += runCalls) {
      body(first, Math.min(count, first + runCalls));
      const settled = this.#subject.settle();
      if (settled !== undefined) await settled;
    }
  }

  checksum(keys: number, base: number): RivalChecksum {
    let state = 0;
    const count = Math.min(keys, this.#inputs.order.length);
    for (let i = 0; i < count; i++) state = this.#subject.fold(state, i, base);
    return { state, sum: this.#sum };
  }

  close(): Promise<void> {
    return this.#subject.close();
  }
}

async function open(assignment: OperationAssignment): Promise<Worker> {
  const inputs = operationInputs(assignment);
  if (assignment.backend === "map") {
    return new Worker(new MapValues(inputs), inputs, assignment.passCalls);
  }
  const backend = await openKeyedStateBackend({
    workingDirectory: join(assignment.directory, "working"),
    checkpointStorage: fileSystemStorage(join(assignment.directory, "checkpoints")),
    restore: "latest-or-new",
    memoryBudgetBytes,
  });
  return new Worker(openVarve(backend, inputs), inputs, assignment.passCalls);
}

let worker: Worker | undefined;

function started(): Worker {
  if (worker === undefined) throw new Error("nothing was assigned yet");
  return worker;
}

serve(
  {
    async open(assignment: OperationAssignment) {
      worker = await open(assignment);
      await worker.fill();
    },
    runTo: ({ calls }: { calls: number }) => started().runTo(calls),
    repetition: ({ millis }: { millis: number }) => started().repetition(millis),
    checksum: ({ keys, base }: { keys: number; base: number }) => started().checksum(keys, base),
  },
  () => worker?.close(),
);
