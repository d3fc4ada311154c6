// What may happen in the life of a job.
import { CheckpointReader } from "../../src/checkpoint/checkpoint-reader.ts";
import { auditStorage } from "../support/storage-audit.ts";
import { pinOne, unpinOne } from "./life-pins.ts";
import type { Life } from "./life-run.ts";

type Operation = (life: Life) => Promise<void> | void;

/** By name; each at most once a step. Those that make no sense at the moment do nothing. */
export const operations: Readonly<Record<string, Operation>> = {
  write: (life) => life.write(),
  writeMore: (life) => life.write(),
  checkpoint: (life) => life.trigger(true),
  checkpointAgain: (life) => {
    life.write();
    return life.trigger(true);
  },
  checkpointUnderWay: (life) => life.trigger(false),
  fullCheckpoint: (life) => life.trigger(true, true),
  decline: async (life) => {
    life.isDeclining = true;
    await life.trigger(true);
    life.isDeclining = false;
  },
  timeOut: async (life) => {
    if (life.memory === undefined) return;
    life.isHanging = true;
    const ended = life.trigger(false);
    life.memory.advance(60_000);
    life.isHanging = false;
    await ended;
    await life.settle();
  },
  creationFails: (life) => void life.faults.creations.push("full"),
  creationUnknown: (life) => void life.faults.creations.push("lost"),
  creationUnknownButDone: (life) => void life.faults.creations.push("done"),
  deletionFails: (life) => void life.faults.deletions++,
  hintFails: (life) => void life.faults.hints++,
  pinLookFails: (life) => void life.faults.pins++,
  taskFails: (life) => life.recover(),
  kill: (life) => life.kill(),
  pause: async (life) => {
    if (life.zombies.length === 0) await life.takeOver("pause");
  },
  zombieGoesOn: (life) => life.zombieGoesOn(),
  rescale: (life) => life.restart(1 + life.choose(3)),
  restoreOlder: async (life) => {
    if (life.zombies.length > 0) return; // One of them might have gone on from a newer one.
    life.clearFaults();
    await life.settle();
    await life.job.close();
    const { retained } = await auditStorage(life.storage);
    const number = retained[life.choose(retained.length)];
    if (number === undefined) return life.open(2);
    const { checkpointId } = await new CheckpointReader(life.storage).load(number);
    await life.open(2, checkpointId);
  },
  pin: pinOne,
  unpin: unpinOne,
  clockJumps: (life) => {
    if (life.memory === undefined) return;
    const jumped = life.choose(2) === 0 ? 86_400_000 : -86_400_000;
    const { clock } = life.environment;
    const wallMs = clock.wallMs.bind(clock);
    Object.assign(clock, { wallMs: () => wallMs() + jumped });
  },
};

/** What may happen besides where checkpoints are in an object store. */
export const storeOperations: Readonly<Record<string, Operation>> = {
  storeThrottles: (life) => void (life.faults.throttled += 1 + life.choose(4)),
  uploadUnknown: (life) => void life.faults.uploads.push("lost"),
  uploadUnknownButDone: (life) => void life.faults.uploads.push("done"),
};

const IN_A_ROW_MAX = 200;

/** What happens besides in a job that runs for hours. */
export const longOperations: Readonly<Record<string, Operation>> = {
  checkpointsInARow: async (life) => {
    for (let count = 1 + life.choose(IN_A_ROW_MAX); count > 0; count--) {
      await life.job.makeRoom();
      life.write();
      await life.trigger(true);
      if (life.job.coordinator.signal.aborted) return;
    }
  },
};
