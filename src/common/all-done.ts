/** Waits for all steps, also after a failure; then rejects with that of the first that failed. */
export async function allDone(steps: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(steps)) {
    if (outcome.status === "rejected") throw outcome.reason as Error;
  }
}
