// Finds the command, reads its arguments, and turns what it throws into messages and exit codes.
import { parseArgs } from "node:util";
import {
  CorruptionError,
  InvalidArgumentError,
  StateBackendError,
  UnsupportedFormatError,
} from "../errors.ts";
import type { OptionTable, Values } from "./arguments.ts";
import { type Command, Exit, Interrupted } from "./command.ts";
import { commands } from "./commands.ts";
import { type Streams, Terminal } from "./terminal.ts";

const common: OptionTable = { json: { type: "boolean" }, help: { type: "boolean" } };

const footer = `
  --json   one JSON object a line
  --help   this

Exit codes: 0 fine; 1 damage, a difference, or nothing under the key; 2 wrong usage; 3 could not be done.
`;

export async function run(
  args: readonly string[],
  streams: Streams,
  interruption: () => AbortSignal,
): Promise<Exit> {
  const [name, ...rest] = args;
  const command = commands.find((one) => one.name === name);
  if (command === undefined) return runWithout(name, streams);
  let parsed;
  try {
    parsed = parseArgs({
      args: rest,
      allowPositionals: true,
      options: { ...command.options, ...common },
    });
  } catch (error) {
    return usage(command, error instanceof Error ? error.message : String(error), streams);
  }
  const { positionals } = parsed;
  const values: Values = parsed.values;
  if (values["help"] === true) {
    streams.stdout.write(helpOf(command));
    return Exit.fine;
  }
  const needed = command.parameters.filter((parameter) => !parameter.startsWith("["));
  if (positionals.length < needed.length || positionals.length > command.parameters.length) {
    return usage(command, `${command.name} takes ${command.parameters.join(" ")}`, streams);
  }
  const terminal = new Terminal(streams, values["json"] === true);
  try {
    const exit = await command.run({ positionals, values, terminal, interruption });
    await terminal.flush();
    return exit;
  } catch (error) {
    await terminal.flush();
    return await failed(command, error, terminal);
  }
}

function runWithout(name: string | undefined, streams: Streams): Exit {
  if (name === "--help" || name === "-h" || name === "help") {
    streams.stdout.write(helpOfAll());
    return Exit.fine;
  }
  const message = name === undefined ? "a command is needed" : `unknown command ${name}`;
  streams.stderr.write(`${message}\n\n${helpOfAll()}`);
  return Exit.usage;
}

function usage(command: Command, message: string, streams: Streams): Exit {
  streams.stderr.write(`${usageText(command, message)}\n`);
  return Exit.usage;
}

function usageText(command: Command, message: string): string {
  const more = `varve ${command.name} --help tells more.`;
  return `${message}\n\nUsage: ${usageLine(command)}\n${more}`;
}

async function failed(command: Command, error: unknown, terminal: Terminal): Promise<Exit> {
  if (error instanceof Interrupted) {
    terminal.note("interrupted");
    return Exit.failed;
  }
  if (!(error instanceof StateBackendError)) {
    // A bug of ours. Left to Node it would end with 1, which means damage.
    terminal.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return Exit.failed;
  }
  const { code, message } = error;
  if (error instanceof InvalidArgumentError) {
    terminal.note(usageText(command, message));
    return Exit.usage;
  }
  // Also among the results: whoever reads those must not take what came so far for all.
  if (terminal.isJson) await terminal.line(JSON.stringify({ error: { code, message } }));
  await terminal.flush();
  terminal.note(`${code}: ${message}`);
  const isDamage = error instanceof CorruptionError || error instanceof UnsupportedFormatError;
  return isDamage ? Exit.found : Exit.failed;
}

function usageLine({ name, parameters }: Command): string {
  return ["varve", name, ...parameters, "[options]"].join(" ");
}

function helpOf(command: Command): string {
  return `Usage: ${usageLine(command)}\n\n${command.summary}\n${command.help}${footer}`;
}

function helpOfAll(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: varve COMMAND DIRECTORY [options]

Looks into checkpoints, also while a job takes more. Never writes into what it reads.

${list.join("\n")}

DIRECTORY is the root given to fileSystemStorage, or the path of one checkpoint's metadata.
varve COMMAND --help tells more.
${footer}`;
}
