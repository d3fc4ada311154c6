// The simplest task: a backend in this process that cuts at once.
import type { CheckpointTask } from "../api/checkpoint-coordinator.ts";
import type { JsonValue, KeyedStateBackend } from "../api/keyed-state-backend.ts";

/**
 * A task that cuts when the coordinator asks: for records that are processed synchronously, so that
 * the coordinator can only ask between two of them. `metadata` is called at the cut, and comes back
 * in the job's metadata at this task's place. `onComplete` commits output.
 */
export function keyedStateTask(
  backend: KeyedStateBackend,
  metadata: () => JsonValue | undefined = () => undefined,
  onComplete: (checkpointId: number) => void = () => undefined,
): CheckpointTask {
  return {
    triggerCheckpoint: async (checkpointId, { full, signal }) => {
      const own = structuredClone(metadata()); // First: what fails after the cut would leave files.
      const { result } = backend.snapshot(checkpointId, { full, signal });
      return { snapshot: await result, metadata: own };
    },
    notifyCheckpointComplete: (checkpointId) => {
      backend.notifyCheckpointComplete(checkpointId);
      onComplete(checkpointId);
    },
    notifyCheckpointAborted: (checkpointId) => backend.notifyCheckpointAborted(checkpointId),
    notifyCheckpointSubsumed: (checkpointId) => backend.notifyCheckpointSubsumed(checkpointId),
  };
}
