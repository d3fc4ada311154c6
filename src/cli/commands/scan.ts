import { jsonLineOf, openCheckpoint } from "../../inspect/index.ts";
import { integer, keyGroups, keysOf, openOptions, optionsForOpening, text } from "../arguments.ts";
import { type Command, Exit } from "../command.ts";

export const scan: Command = {
  name: "scan",
  parameters: ["DIRECTORY", "STATE"],
  summary: "Prints the entries of a state as JSON lines.",
  help: `
  --id ID                 which checkpoint (default: the newest)
  --prefix TEXT           only string keys that begin so
  --key-groups A-B        only these key groups
  --namespace NAMESPACE   only this one (default: all)
  --namespace-type TYPE   string, number, bigint, bytes (hexadecimal) or auto (default)
  --limit N               stops after N entries
  --trust-v8              decodes v8 values, which a forged checkpoint may abuse

In the order of key groups, and within one of the keys' bytes. Values of unknown serializers are
printed as {"$bytes":"..."}, and their lines have "raw":true.
`,
  options: {
    ...openOptions,
    prefix: { type: "string" },
    "key-groups": { type: "string" },
    namespace: { type: "string" },
    "namespace-type": { type: "string" },
    limit: { type: "string" },
  },
  async run({ positionals, values, terminal }) {
    const [directory, state] = positionals as [string, string];
    const limit = integer(values, "limit") ?? Number.POSITIVE_INFINITY;
    const range = { prefix: text(values, "prefix"), keyGroups: keyGroups(values) };
    const namespace = text(values, "namespace");
    const namespaces =
      namespace === undefined ? [undefined] : keysOf(namespace, values, "namespace-type");
    const view = await openCheckpoint(directory, optionsForOpening(values));
    try {
      let count = 0;
      for (const one of namespaces) {
        for await (const entry of view.scan(state, { ...range, namespace: one })) {
          if (count >= limit || terminal.isReaderGone) return Exit.fine;
          const schema = view.states().find(({ name }) => name === state);
          await terminal.line(jsonLineOf(entry, schema!));
          if (++count % 1000 === 0)
            terminal.progress(`${count} entries, key group ${entry.keyGroup}`);
        }
      }
      return Exit.fine;
    } finally {
      await view.close();
    }
  },
};
