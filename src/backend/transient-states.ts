// States that say `checkpointed: false`. Their rows are in a write buffer of their own, which has no
// cold tier and is never handed to a drain, a dump or a capture: so they never reach storage, nor the
// working directory.
//   X1. The buffer is made with the first such state. It takes an even share of the memory budget, as
//       a further backend of the host would.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import { InvalidArgumentError } from "../errors.ts";
import { requireRoom } from "../memory/room.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import type { StateHost } from "../state/state-core.ts";
import type { Tier } from "./tier.ts";

/** The buffer, and the memory backend's lower half over it. */
export interface TransientTier {
  readonly buffer: WriteBuffer;
  readonly tier: Tier;
}

export class TransientStates {
  readonly #states: StateHost;
  readonly #make: () => TransientTier;
  #made: (TransientTier & { readonly states: StateHost }) | undefined = undefined;

  /** `states`: what the other states of the backend use. */
  constructor(states: StateHost, make: () => TransientTier) {
    this.#states = states;
    this.#make = make;
  }

  get buffer(): WriteBuffer | undefined {
    return this.#made?.buffer;
  }

  /** What such a state uses. InvalidArgumentError if the budget leaves no room for its buffer. */
  host(): StateHost {
    this.#made ??= this.#begin();
    return this.#made.states;
  }

  #begin(): TransientTier & { readonly states: StateHost } {
    const made = this.#make();
    const { buffer, tier } = made;
    const main = this.#states.buffer;
    try {
      requireRoom(buffer);
      requireRoom(main);
      main.updatePressure();
      if (main.cold === undefined && main.isPressed) {
        throw new InvalidArgumentError(
          `memoryBudgetBytes = ${main.pool.capacityBytes} has no room left for states that are not checkpointed: raise it, or declare them before the others fill it`,
        );
      }
    } catch (error) {
      buffer.close();
      main.updatePressure();
      throw error;
    }
    const scanKeys = (
      schema: StateSchema,
      namespace: Uint8Array | undefined,
    ): AsyncIterableIterator<Key> => tier.scanKeys(schema, namespace);
    return { ...made, states: { ...this.#states, buffer, scanKeys } };
  }

  relieve(): void {
    if (this.#made?.buffer.isPressed === true) this.#made.tier.relieve();
  }

  stopServing(): void {
    this.#made?.buffer.stopServing();
  }

  async close(): Promise<void> {
    await this.#made?.tier.close();
    this.#made?.buffer.close();
  }
}
