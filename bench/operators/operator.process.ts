// Child process: one operator on one store.
import type { StorePlace } from "../stores/stores.ts";
import { type WindowStore, openWindowStore } from "../stores/window-store.ts";
import { serve } from "../support/child.ts";
import type { Timing } from "../support/contest.ts";
import { Events, type Popularity } from "./events.ts";
import { type Operator, type OperatorName, operatorOf } from "./operators.ts";

export interface OperatorAssignment extends StorePlace {
  readonly operator: OperatorName;
  readonly keyCount: number;
  readonly popularity: Popularity;
}

/** Records between two looks at whether the store has room. */
const recordsPerLook = 100;

let store: WindowStore | undefined;
let operator: Operator | undefined;
let events: Events | undefined;

serve(
  {
    async open(assignment: OperatorAssignment) {
      store = await openWindowStore(assignment);
      operator = operatorOf(assignment.operator, store);
      events = new Events(assignment.keyCount, assignment.popularity);
    },
    async run(calls: number): Promise<Timing> {
      if (store === undefined || operator === undefined || events === undefined) {
        throw new Error("nothing was assigned yet");
      }
      const start = performance.now();
      for (let done = 1; done <= calls; done++) {
        events.next();
        operator.process(events);
        if (done % recordsPerLook > 0) continue;
        const settled = store.settle();
        if (settled !== undefined) await settled;
      }
      return { calls, ms: performance.now() - start };
    },
    checksum: () => operator?.output,
  },
  () => store?.close(),
);
