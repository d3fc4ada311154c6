import type { OptionTable, Values } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

/** Exit codes of every command. */
export const Exit = {
  fine: 0,
  /** Damage or a difference was found, or a key was not. */
  found: 1,
  usage: 2,
  /** It could not be done: no such checkpoint, deleted meanwhile, the system refused. */
  failed: 3,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** The process was asked to end. */
export class Interrupted extends Error {}

export interface CommandCall {
  readonly positionals: readonly string[];
  readonly values: Values;
  readonly terminal: Terminal;
  /**
   * A signal that aborts with Interrupted when the process is asked to end, for commands that have
   * something to clean up. Without this call the process simply ends.
   */
  readonly interruption: () => AbortSignal;
}

/** One entry of the command table. */
export interface Command {
  readonly name: string;
  /** Names of the positional arguments; those in brackets may be left out. */
  readonly parameters: readonly string[];
  readonly summary: string;
  /** Options and examples, below usage and summary. */
  readonly help: string;
  readonly options: OptionTable;
  run(call: CommandCall): Promise<Exit>;
}
