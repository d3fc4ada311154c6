// Pins: completed checkpoints that no retention deletes. Objects of the storage itself, so that a
// tool may set one while the job runs. Page: docs/formats/directory-layout.md.
//   P1. Whoever gives up a checkpoint looks for its pin after the metadata that no longer counts it
//       among the retained ones is durable.
//   P2. A pin holds only if, after it was created, the newest metadata still counts the checkpoint
//       among the retained ones: by P1 its owner has then not looked yet. Else it is taken back.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { CheckpointNotFoundError } from "../errors.ts";
import { CheckpointReader } from "./checkpoint-reader.ts";
import { pinName } from "./layout.ts";

/** Its content says nothing: that it is there does. */
const content: Uint8Array = Buffer.from("varve-pin-1\n", "latin1");

export async function isPinned(storage: CheckpointStorage, number: number): Promise<boolean> {
  return (await storage.size(pinName(number))) !== undefined;
}

/**
 * Keeps a completed checkpoint until it is unpinned. Resolves once that is certain; repeating it
 * changes nothing. CheckpointNotFoundError if the checkpoint is given up already.
 */
export async function pinNumber(storage: CheckpointStorage, number: number): Promise<void> {
  const reader = new CheckpointReader(storage);
  await reader.load(number);
  const outcome = await storage.createIfAbsent(pinName(number), content);
  const newest = await reader.loadNewest();
  const isRetained = newest.oldestRetained <= number && number <= newest.completionNumber;
  if (isRetained || outcome === "exists") return; // Whoever pinned it first has checked.
  await storage.delete([pinName(number)]); // P2
  throw new CheckpointNotFoundError(
    `checkpoint number ${number} is not retained in ${storage.description} any more`,
  );
}

/** The retention decides about it again. Nothing happens if it is not pinned. */
export async function unpinNumber(storage: CheckpointStorage, number: number): Promise<void> {
  await storage.delete([pinName(number)]);
}
