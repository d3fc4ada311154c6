// What a backend with policy "changelog" knows of a checkpoint under way.
import type { ChangelogChain, MergedSegment } from "./changelog-chain.ts";
import type { ConfirmedBase, MadeBase } from "./materialization.ts";
import type { FileKeeper } from "./tier.ts";

export interface Attempt {
  readonly chain: ChangelogChain | undefined;
  readonly keeper: FileKeeper;
  /** Whether it captures a base itself. */
  readonly makesBase: boolean;
  /** Change number from which on it needs the log. */
  readonly logFrom: number;
  /** The base that it names and that is not the confirmed one; set once it is known. */
  base: ConfirmedBase | undefined;
  readonly made: MadeBase | undefined;
  /** The segment that it names in the place of others, and no confirmed checkpoint does. */
  readonly merged: MergedSegment | undefined;
  /** Segments that it names, and those of them that no confirmed checkpoint did. */
  segments: readonly string[];
  newSegments: readonly string[];
  logBytes: number;
  /** It was aborted: nobody may hear of its segments any more, which others go on with. */
  isGivenUp: boolean;
}

/** Of which it is not known yet which files it names. */
export function newAttempt(
  known: Pick<Attempt, "chain" | "keeper" | "makesBase" | "logFrom" | "made" | "merged">,
): Attempt {
  return {
    ...known,
    base: known.made?.base,
    segments: [],
    newSegments: [],
    logBytes: 0,
    isGivenUp: false,
  };
}
