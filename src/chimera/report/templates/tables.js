// A heading sorts its column, and each table can be saved as CSV. Without script they are plain tables.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const text = cell => cell.textContent.trim().replace(/\s+/g, " ");
  const names = heads.map(text);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = names[column];
    button.title = "sort by this column";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...body.rows].map(row => [text(row.cells[column]), row]);
      // "0.054 ± 0.002", "+3.5%" and "< 0.001" are numbers; what is none comes last, by name.
      const value = word => parseFloat(word.replace(/,/g, "").replace(/^[<+]\s*/, ""));
      const order = (a, b) => isNaN(a) || isNaN(b) ? isNaN(a) - isNaN(b) : sign * (a - b);
      rows.sort(([a], [b]) => order(value(a), value(b)) || sign * a.localeCompare(b));
      body.append(...rows.map(([, row]) => row));
    });
  });
  const quoted = word => `"${word.replace(/"/g, '""')}"`;
  const lines = [names, ...[...body.rows].map(row => [...row.cells].map(text))];
  const caption = document.getElementById(table.getAttribute("aria-labelledby"));
  const link = document.createElement("a");
  link.textContent = "CSV";
  link.className = "csv";
  link.download = `${caption.id}.csv`;
  link.href = "data:text/csv;charset=utf-8," +
    encodeURIComponent(lines.map(line => line.map(quoted).join(",")).join("\r\n") + "\r\n");
  caption.append(" ", link);
}
