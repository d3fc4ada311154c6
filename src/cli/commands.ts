// The command table: a command is a file of its own and a line here.
import type { Command } from "./command.ts";
import { convert } from "./commands/convert.ts";
import { copy } from "./commands/copy.ts";
import { diff } from "./commands/diff.ts";
import { exportCommand } from "./commands/export.ts";
import { gc } from "./commands/gc.ts";
import { get } from "./commands/get.ts";
import { inspect } from "./commands/inspect.ts";
import { ls } from "./commands/ls.ts";
import { pin, unpin } from "./commands/pin.ts";
import { scan } from "./commands/scan.ts";
import { verify } from "./commands/verify.ts";

/** In the order of the help. */
export const commands: readonly Command[] = [
  ls,
  inspect,
  verify,
  get,
  scan,
  diff,
  exportCommand,
  copy,
  convert,
  pin,
  unpin,
  gc,
];
