/** Rows of cells, the first one the head, as a table of Markdown with columns of equal width. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_cell, column) => {
    return Math.max(3, ...rows.map((row) => row[column]!.length));
  });
  const lines = rows.map((row) => {
    return `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  });
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}
