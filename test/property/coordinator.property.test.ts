// Goal: after any sequence of completed, aborted, declined and late checkpoints, unknown outcomes,
// kills, pauses and restarts no referenced file is missing and no unreferenced one is left.
// Method: fast-check drives a model of a job (test/support/coordinator-world.ts), which checks each
// deletion, and every sequence of up to five steps is enumerated. The seed is printed on failure.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { World } from "../support/coordinator-world.ts";

const { VARVE_SEED, VARVE_RUNS } = process.env;
const parameters = { seed: Number(VARVE_SEED ?? 1), numRuns: Number(VARVE_RUNS ?? 2000) };

type Step = (world: World) => void;

/** Steps that can be taken in any state: those that make no sense there change nothing. */
const steps: Readonly<Record<string, Step>> = {
  trigger: ({ owner }) => owner.event({ type: "trigger-requested", requestId: 1, isFull: false }),
  triggerFull: ({ owner }) =>
    owner.event({ type: "trigger-requested", requestId: 2, isFull: true }),
  acknowledge: ({ owner }) => owner.acknowledge(0),
  acknowledgeNewest: ({ owner }) => owner.acknowledge(owner.acknowledgements.length - 1),
  repeatAcknowledgement: ({ owner }) => owner.acknowledge(0, true),
  decline: ({ owner }) => {
    const [first] = owner.acknowledgements;
    if (first === undefined) return;
    const { epoch, checkpointId, task } = first;
    owner.event({ type: "task-declined", epoch, checkpointId, task });
  },
  fail: ({ owner }) => owner.event({ type: "task-failed", task: 0 }),
  expire: (world) => {
    world.nowMs += 600_000;
    world.owner.event({ type: "tick" });
  },
  write: ({ owner }) => owner.writeSucceeds(),
  writeWithoutHint: ({ owner }) => owner.writeSucceeds(false),
  writeFails: ({ owner }) => owner.writeFails(true),
  writeIsUnknown: ({ owner }) => owner.writeFails(false),
  limboArrives: ({ storage }) => {
    const one = storage.limbo.shift();
    if (one !== undefined) storage.create(one.number, one.metadata);
  },
  retry: (world) => {
    world.nowMs += 1000;
    world.owner.event({ type: "tick" });
  },
  discard: ({ owner }) => owner.discard(true),
  discardFails: ({ owner }) => owner.discard(false),
  settle: ({ owner }) => owner.settle(),
  kill: (world) => world.restart(true),
  pause: (world) => world.restart(false),
  restoreUnclaimed: (world) => world.restart(true, false),
  zombieGoesOn: (world) => {
    for (const zombie of world.zombies) {
      zombie.acknowledge(0);
      zombie.writeSucceeds();
      zombie.discard(true);
    }
  },
  clockJumps: (world) => {
    world.nowMs -= 86_400_000;
    world.owner.event({ type: "tick" });
  },
  pin: (world) => setPinned(world, true),
  unpin: (world) => setPinned(world, false),
};

function setPinned(world: World, isPinned: boolean): void {
  const completed = [...world.owner.state.checkpoints.values()].find(
    ({ life, isPinned: was }) => life.phase === "completed" && was !== isPinned,
  );
  if (completed === undefined || world.owner.state.phase === "fenced") return;
  const { checkpointId } = completed;
  if (isPinned) world.pins.add(checkpointId);
  else world.pins.delete(checkpointId);
  world.owner.event({ type: isPinned ? "pin" : "unpin", checkpointId });
}

function step(world: World, name: string): void {
  steps[name]!(world);
  if (world.owner.state.phase === "fenced") world.restart(true);
}

/** The files of a paused owner that uploaded after the take-over are found by the next owner. */
function finish(world: World): void {
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

describe("the coordinator", () => {
  test("loses no file and leaves none, whatever happens", () => {
    const history = fc.record({
      options: fc.record({
        taskCount: fc.integer({ min: 1, max: 4 }),
        maxConcurrentCheckpoints: fc.integer({ min: 1, max: 3 }),
        retainedCheckpoints: fc.integer({ min: 1, max: 3 }),
        tolerableFailedCheckpoints: fc.integer({ min: 0, max: 4 }),
      }),
      seed: fc.integer(),
      names: fc.array(fc.constantFrom(...Object.keys(steps)), { maxLength: 60, size: "max" }),
    });
    fc.assert(
      fc.property(history, ({ options, seed, names }) => {
        const random = seededRandom(seed);
        const world = new World(options, (count) => Math.floor(random() * count));
        for (const name of names) step(world, name);
        finish(world);
      }),
      parameters,
    );
  });

  test("does so after every short sequence of two tasks and two checkpoints under way", () => {
    const options = { taskCount: 2, maxConcurrentCheckpoints: 2, tolerableFailedCheckpoints: 9 };
    let sequences = 0;
    const replay = (names: readonly string[]): World => {
      let random = 0; // Tasks alternate in what they do.
      const world = new World(options, (count) => random++ % count);
      step(world, "trigger");
      world.owner.settle();
      for (const name of names) step(world, name);
      return world;
    };
    const visit = (names: readonly string[], depth: number): void => {
      finish(replay(names));
      sequences++;
      if (depth === 0) return;
      const world = replay(names);
      for (const [name, isPossible] of Object.entries(possible)) {
        if (isPossible(world)) visit([...names, name], depth - 1);
      }
    };
    visit([], 5);
    // Metadata of one is being written, and the next one is triggered.
    visit(["trigger", "acknowledge", "acknowledge", "trigger"], 4);
    assert.ok(sequences > 15_000, `only ${sequences} sequences`);
  });
});

/** The steps that are enumerated, and where they change something. */
const possible: Readonly<Record<string, (world: World) => boolean>> = {
  trigger: ({ owner }) => owner.open.size < 2,
  acknowledge: ({ owner }) => owner.acknowledgements.length > 0,
  acknowledgeNewest: ({ owner }) => owner.acknowledgements.length > 1,
  repeatAcknowledgement: ({ owner }) => owner.acknowledgements.length > 0,
  decline: ({ owner }) => owner.acknowledgements.length > 0,
  fail: ({ owner }) => owner.open.size > 0,
  expire: ({ owner }) => owner.open.size > 0,
  write: ({ owner }) => owner.write !== undefined,
  writeFails: ({ owner }) => owner.write !== undefined,
  writeIsUnknown: ({ owner }) => owner.write !== undefined,
  limboArrives: ({ storage }) => storage.limbo.length > 0,
  discard: ({ owner }) => owner.hasDiscard,
  kill: () => true,
  pause: ({ zombies }) => zombies.length === 0,
  zombieGoesOn: ({ zombies }) => zombies.length > 0,
  pin: ({ pins }) => pins.size === 0,
};
