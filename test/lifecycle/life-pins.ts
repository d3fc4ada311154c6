// Pins in the life of a job, as the coordinator takes them and as a tool does.
import { CheckpointReader } from "../../src/checkpoint/checkpoint-reader.ts";
import { pinNumber, unpinNumber } from "../../src/checkpoint/pins.ts";
import type { StateBackendError } from "../../src/errors.ts";
import type { Life } from "./life-run.ts";

export async function pinOne(life: Life): Promise<void> {
  const { retained } = life.job.coordinator.stats();
  const id = retained[life.choose(retained.length)];
  if (id === undefined) return;
  const metadata = await new CheckpointReader(life.storage).findById(id).catch(() => undefined);
  if (metadata === undefined) return;
  const number = metadata.completionNumber;
  life.faults.throttled = 0;
  try {
    // Half of the time as a tool does it, behind the coordinator's back.
    if (life.choose(2) === 0) await life.job.coordinator.pin(id);
    else await pinNumber(life.storage, number);
  } catch (error) {
    const isGivenUp = (error as StateBackendError).code === "VARVE_CHECKPOINT_NOT_FOUND";
    if (!isGivenUp) throw error;
    return;
  }
  life.pinned.set(number, id);
}

export async function unpinOne(life: Life): Promise<void> {
  const [first] = life.pinned;
  if (first === undefined) return;
  const [number] = first;
  // The tool would say so, and be called again.
  life.faults.deletions = 0;
  life.faults.throttled = 0;
  life.pinned.delete(number);
  await unpinNumber(life.storage, number);
}
