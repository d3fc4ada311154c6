// Every short history of a job's life: the letters of the protocol, in every order that means
// something, on the coordinator and its registry, with tasks and a storage that are toys.
import { World } from "../support/coordinator-world.ts";

interface Letter {
  /** Whether it changes anything here: histories with letters that do not are those without them. */
  readonly isPossible: (world: World) => boolean;
  readonly step: (world: World) => void;
}

const isNewTaskCount =
  (from: readonly number[], to: number) =>
  ({ options }: World): boolean =>
    from.includes(options.taskCount) && options.taskCount !== to;

/** Materialize and truncate are the changelog's, which this version has not. */
export const alphabet: Readonly<Record<string, Letter>> = {
  write: {
    isPossible: ({ changes }) => changes?.isWritten === false,
    step: ({ changes }) => void (changes!.isWritten = true),
  },
  compact: {
    isPossible: ({ changes }) => changes?.isCompacted === false,
    step: ({ changes }) => void (changes!.isCompacted = true),
  },
  begin: {
    isPossible: ({ owner, options }) => owner.open.size < (options.maxConcurrentCheckpoints ?? 1),
    step: ({ owner }) => owner.event({ type: "trigger-requested", requestId: 1, isFull: false }),
  },
  ack: {
    isPossible: ({ owner }) => owner.acknowledgements.length > 0,
    step: ({ owner }) => owner.acknowledge(0),
  },
  ackNewest: {
    isPossible: ({ owner }) => owner.acknowledgements.length > 1,
    step: ({ owner }) => owner.acknowledge(owner.acknowledgements.length - 1),
  },
  complete: {
    isPossible: ({ owner }) => owner.write !== undefined,
    step: ({ owner }) => owner.writeSucceeds(),
  },
  completeUnknown: {
    isPossible: ({ owner }) => owner.write !== undefined,
    step: ({ owner }) => owner.writeFails(false),
  },
  arrive: {
    isPossible: ({ storage }) => storage.limbo.length > 0,
    step: ({ storage }) => {
      const { number, metadata } = storage.limbo.shift()!;
      storage.create(number, metadata);
    },
  },
  abort: {
    isPossible: ({ owner }) => owner.acknowledgements.length > 0,
    step: ({ owner }) => {
      const { epoch, checkpointId, task } = owner.acknowledgements[0]!;
      owner.event({ type: "task-declined", epoch, checkpointId, task });
    },
  },
  timeout: {
    isPossible: ({ owner }) => owner.open.size > 0,
    step: (world) => {
      world.nowMs += 600_000;
      world.owner.event({ type: "tick" });
    },
  },
  subsume: {
    isPossible: ({ owner }) => owner.hasDiscard,
    step: ({ owner }) => owner.discard(true),
  },
  crash: { isPossible: () => true, step: (world) => world.restart(true) },
  restoreNoClaim: { isPossible: () => true, step: (world) => world.restart(true, false) },
  pause: {
    isPossible: ({ zombies }) => zombies.length === 0,
    step: (world) => world.restart(false),
  },
  pausedGoesOn: {
    isPossible: ({ zombies }) => zombies.length > 0,
    step: ({ zombies }) => {
      for (const zombie of zombies) {
        zombie.acknowledge(0);
        zombie.writeSucceeds();
        zombie.discard(true);
      }
    },
  },
  rescaleTo1: { isPossible: isNewTaskCount([2, 3], 1), step: (world) => world.rescale(1) },
  rescaleTo2: { isPossible: isNewTaskCount([1], 2), step: (world) => world.rescale(2) },
  rescaleTo3: { isPossible: isNewTaskCount([2], 3), step: (world) => world.rescale(3) },
};

export interface EnumerationResult {
  readonly sequences: number;
  /** The first few of those that broke a promise, with what it was. */
  readonly violations: readonly string[];
}

/** All histories of up to `length` letters, from a job of two tasks with one checkpoint. */
export function enumerateLives(
  length: number,
  onProgress: (sequences: number) => void = () => undefined,
): EnumerationResult {
  let sequences = 0;
  const violations: string[] = [];
  const visit = (names: readonly string[]): void => {
    sequences++;
    if (sequences % 1000 === 0) onProgress(sequences);
    try {
      finish(replay(names));
    } catch (error) {
      violations.push(`${names.join(" ")}: ${error instanceof Error ? error.message : "?"}`);
      return;
    }
    if (names.length === length) return;
    const world = replay(names);
    for (const [name, { isPossible }] of Object.entries(alphabet)) {
      if (isPossible(world)) visit([...names, name]);
    }
  };
  visit([]);
  return { sequences, violations };
}

function replay(names: readonly string[]): World {
  let turn = 0; // Tasks alternate in what is left open.
  const options = { taskCount: 2, maxConcurrentCheckpoints: 2, tolerableFailedCheckpoints: 9 };
  const world = new World(options, (count) => turn++ % count);
  world.owner.event({ type: "trigger-requested", requestId: 1, isFull: false });
  world.owner.settle();
  world.changes = { isWritten: false, isCompacted: false };
  for (const name of names) {
    alphabet[name]!.step(world);
    if (world.owner.state.phase === "fenced") world.restart(true);
  }
  return world;
}

/** One grace period later nothing is missing, and nothing left over. */
export function finish(world: World): void {
  const hadZombies = world.zombies.length > 0;
  world.quiesce();
  if (hadZombies || world.storage.limbo.length > 0) {
    world.zombies = [];
    world.storage.limbo = [];
    world.restart(true);
    world.quiesce();
  }
  world.check();
}
