import { InvalidArgumentError } from "../../errors.ts";
import {
  type CheckpointView,
  type Difference,
  diffCheckpoints,
  differenceLineOf,
  jsonOf,
  openCheckpoint,
} from "../../inspect/index.ts";
import { integer, keyGroups, optionsForOpening, text, texts } from "../arguments.ts";
import { type Command, type CommandCall, Exit } from "../command.ts";
import { nameText } from "../text.ts";

export const diff: Command = {
  name: "diff",
  parameters: ["BEFORE", "[AFTER]"],
  summary: "Compares two checkpoints: keys that were added, removed or changed.",
  help: `
  --from ID          which checkpoint of BEFORE (default: the newest)
  --to ID            which checkpoint of AFTER (default: the newest)
  --state NAME       only this state; may be repeated
  --key-groups A-B   only these key groups
  --summary          only how many
  --limit N          stops after N differences
  --trust-v8         decodes v8 values, which a forged checkpoint may abuse

BEFORE and AFTER are directories or paths of metadata; without AFTER both are in one directory. Exit
code 1 if there is a difference. Table files that both have are not read.
`,
  options: {
    from: { type: "string" },
    to: { type: "string" },
    "trust-v8": { type: "boolean" },
    state: { type: "string", multiple: true },
    "key-groups": { type: "string" },
    summary: { type: "boolean" },
    limit: { type: "string" },
  },
  async run(call) {
    const [before, after = before] = call.positionals as [string, string | undefined];
    const { values } = call;
    if (
      before === after &&
      text(values, "from") === undefined &&
      text(values, "to") === undefined
    ) {
      throw new InvalidArgumentError("both are the same checkpoint: give AFTER, --from or --to");
    }
    const left = await openCheckpoint(before, optionsForOpening(values, "from"));
    try {
      const right = await openCheckpoint(after, optionsForOpening(values, "to"));
      try {
        return await compare(left, right, call);
      } finally {
        await right.close();
      }
    } finally {
      await left.close();
    }
  },
};

async function compare(
  before: CheckpointView,
  after: CheckpointView,
  { values, terminal }: CommandCall,
): Promise<Exit> {
  const limit = integer(values, "limit") ?? Number.POSITIVE_INFINITY;
  const isSummary = values["summary"] === true;
  const options = { states: texts(values, "state"), keyGroups: keyGroups(values) };
  const counts = { added: 0, removed: 0, changed: 0 };
  let count = 0;
  for await (const difference of diffCheckpoints(before, after, options)) {
    if (count >= limit || terminal.isReaderGone) break;
    counts[difference.change]++;
    count++;
    if (count % 1000 === 0) terminal.progress(`${count} differences`);
    if (isSummary) continue;
    if (terminal.isJson) {
      await terminal.line(
        differenceLineOf(difference, schemaOf(before, difference), schemaOf(after, difference)),
      );
    } else {
      await terminal.line(textOf(difference, terminal));
    }
  }
  const { added, removed, changed } = counts;
  const sums = `${added} added, ${removed} removed, ${changed} changed`;
  const [from, to] = [before.checkpointId, after.checkpointId];
  if (isSummary) {
    await terminal.result(
      { before: from, after: to, ...counts },
      `checkpoint ${from} to ${to}: ${sums}`,
    );
  } else {
    terminal.note(`checkpoint ${from} to ${to}: ${sums}${count >= limit ? ", then stopped" : ""}`);
  }
  return count === 0 ? Exit.fine : Exit.found;
}

function schemaOf(view: CheckpointView, { state }: Difference) {
  return view.states().find(({ name }) => name === state);
}

function textOf(difference: Difference, terminal: CommandCall["terminal"]): string {
  const { change, state, key, namespace, before, after } = difference;
  const place = namespace === undefined ? jsonOf(key) : `${jsonOf(key)} in ${jsonOf(namespace)}`;
  const what = `${nameText(state)} ${place}`;
  if (change === "added") return terminal.colour("green", `+ ${what}: ${jsonOf(after)}`);
  if (change === "removed") return terminal.colour("red", `- ${what}: ${jsonOf(before)}`);
  return terminal.colour("yellow", `~ ${what}: ${jsonOf(before)} -> ${jsonOf(after)}`);
}
