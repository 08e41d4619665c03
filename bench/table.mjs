// Prints figures as one table: a row for each figure, a column for each system. Reads JSON lines
// {"system","figure","unit","value","runs"?,"target"?,"note"?}; a null value is "did not get there", and its note says how.
//   node bench/table.mjs FILE
import { readFileSync } from 'node:fs'

const lines = readFileSync(process.argv[2], 'utf8').split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line))
const systems = [...new Set(lines.map(line => line.system))]
const figures = [...new Set(lines.map(line => line.figure))]
const notes = []

/** Chinese characters take two columns of a terminal. */
const width = text => [...text].reduce((sum, c) => sum + (c.codePointAt(0) > 0x2e80 ? 2 : 1), 0)
const pad = (text, size) => text + ' '.repeat(Math.max(0, size - width(text)))

function shown({ value, unit, note }) {
  const mark = note ? ` [${notes.includes(note) ? notes.indexOf(note) + 1 : notes.push(note)}]` : ''
  if (value === null) return `–${mark}`
  const number = Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
  return `${number} ${unit}${mark}`.trim()
}

const rows = figures.map(figure => {
  const cells = systems.map(system => lines.findLast(line => line.system === system && line.figure === figure))
  return [figure, ...cells.map(cell => (cell ? shown(cell) : '')), lines.find(line => line.figure === figure && line.target)?.target ?? '']
})
const table = [['', ...systems, 'target'], ...rows]
const widths = table[0].map((_, column) => Math.max(...table.map(row => width(row[column]))))
const print = row => process.stdout.write(row.map((cell, i) => pad(cell, widths[i])).join('  ').trimEnd() + '\n')
print(table[0])
print(widths.map(size => '-'.repeat(size)))
rows.forEach(print)
notes.forEach((note, i) => process.stdout.write(`[${i + 1}] ${note}\n`))
