// Documents that Doorstep wrote are read by JavaScript's Automerge with the same values, concurrent ones included.
// For each NAME.automerge: NAME.json is the flat map of its visible values; NAME.conflicts.json, where keys hold several
// concurrent values, lists all of them by key. The files are written and compared by the Rust side too.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync, existsSync } from 'node:fs'
import { test } from 'node:test'
import * as Automerge from '@automerge/automerge'

const folder = new URL('../fixtures/golden/', import.meta.url)
const documents = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.automerge')).sort() : []

// Strings in Doorstep's documents are scalars (never collaborative text), which this library gives as immutable strings.
const plain = value => {
  if (Automerge.isImmutableString(value)) return value.toString()
  assert.ok(value === null || ['boolean', 'number'].includes(typeof value), `a scalar is expected, not ${typeof value}`)
  return value
}
// Among conflicts the library gives scalar strings as bare ones.
const sorted = values => values.map(value => JSON.stringify(typeof value === 'string' ? value : plain(value))).sort()
const json = name => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

test('there are golden documents to read', () => {
  assert.notEqual(documents.length, 0, 'tests/fixtures/golden holds no *.automerge: the Rust side writes them')
})

for (const name of documents) {
  const stem = name.slice(0, -'.automerge'.length)
  const doc = Automerge.load(new Uint8Array(readFileSync(new URL(name, folder))))

  test(`${stem}: the same values`, () => {
    const seen = Object.fromEntries(Object.entries(doc).map(([key, value]) => [key, plain(value)]))
    assert.deepEqual(seen, json(`${stem}.json`))
  })

  test(`${stem}: the same concurrent values`, () => {
    const seen = {}
    for (const key of Object.keys(doc)) {
      const values = Automerge.getConflicts(doc, key)
      if (values) seen[key] = sorted(Object.values(values))
    }
    const file = `${stem}.conflicts.json`
    const wanted = existsSync(new URL(file, folder)) ? json(file) : {}
    for (const key of Object.keys(wanted)) wanted[key] = wanted[key].map(value => JSON.stringify(value)).sort()
    assert.deepEqual(seen, wanted, `concurrent values are listed in ${file}`)
  })
}
