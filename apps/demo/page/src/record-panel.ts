/**
 * The record behind a hit: what is stored, its version, and an edit of the population that is
 * written only if nobody else has written since (`ifVersion`).
 */
import type { EntryOf, Keyspace } from '@kv/client'
import type { City, CityKey, CitySchema } from '../../src/city-keys.js'
import { cityKey, nameKey, fold } from '../../src/city-keys.js'
import { whole } from '../../src/figures.js'
import { conflictPanel } from './conflict-panel.js'
import { countryName } from './country.js'
import { element } from './element.js'

export type CityEntry = EntryOf<CitySchema, CityKey>
type Cities = Pick<Keyspace<CitySchema>, 'getEntry' | 'set' | 'update'>

export interface RecordPorts {
  readonly kv: Cities
  /** Another client of its own, for the writer from elsewhere. */
  readonly elsewhere: Cities
}

export class RecordPanel {
  readonly element: HTMLElement = element('div', {}, empty())
  private readonly ports: RecordPorts
  private entry: CityEntry | undefined
  /** Counts what was opened: an answer for what is no longer shown is not shown. */
  private opened = 0

  constructor(ports: RecordPorts) {
    this.ports = ports
  }

  async open(cityId: number): Promise<void> {
    this.opened += 1
    const { opened } = this
    const entry = await this.ports.kv.getEntry(cityKey(cityId))
    if (opened !== this.opened) return
    this.show(entry)
  }

  private show(entry: CityEntry | undefined, note = ''): void {
    this.entry = entry
    if (entry === undefined) {
      this.element.replaceChildren(element('p', { className: 'quiet' }, 'There is no such city.'))
      return
    }
    this.element.replaceChildren(heading(entry), facts(entry), this.form(entry), said(note))
  }

  private form(entry: CityEntry): HTMLElement {
    const field = element('input', {
      id: 'population',
      type: 'number',
      min: '0',
      step: '1',
      required: true,
      value: String(entry.value.population),
    })
    const save = element('button', { type: 'submit' }, 'Save')
    const onSubmit = (event: SubmitEvent): void => {
      event.preventDefault()
      // What is typed meanwhile would be lost when the answer is shown.
      field.disabled = save.disabled = true
      this.attempt(async () => {
        try {
          await this.save(entry, field.valueAsNumber)
        } finally {
          field.disabled = save.disabled = false
        }
      })
    }
    return element(
      'form',
      { className: 'edit', onsubmit: onSubmit },
      element('label', { htmlFor: 'population' }, 'Population'),
      element('div', { className: 'row' }, field, save),
      element(
        'button',
        {
          type: 'button',
          className: 'link',
          title: 'A second client writes to this city, as another tab would',
          onclick: () => this.attempt(() => this.writeElsewhere(entry)),
        },
        'Let somebody else change it',
      ),
    )
  }

  /** Writes only over the version that is shown. */
  private async save(entry: CityEntry, population: number): Promise<void> {
    const value: City = { ...entry.value, population }
    const written = await this.ports.kv.set(entry.key, value, { ifVersion: entry.version })
    if (written.ok) await this.saved(entry.key, value)
    else this.showConflict(value, written.current)
  }

  private showConflict(mine: City, current: CityEntry | undefined): void {
    if (this.entry === undefined) return
    const panel = conflictPanel({
      seen: this.entry,
      mine,
      current,
      onKeep: () => this.show(current, 'Theirs was kept.'),
      onOverwrite: () =>
        this.attempt(async () => {
          const { key } = this.entry as CityEntry
          const ifVersion = current?.version ?? null
          const written = await this.ports.kv.set(key, mine, { ifVersion })
          if (written.ok) await this.saved(key, mine)
          else this.showConflict(mine, written.current)
        }),
    })
    this.element.replaceChildren(heading(this.entry), panel)
    panel.focus()
  }

  /** The name index tells the population, too. */
  private async saved(key: CityKey, { cityId, name, population }: City): Promise<void> {
    await this.ports.kv.update(nameKey(fold(name)), (namesakes) =>
      namesakes?.map((city) => (city.cityId === cityId ? { ...city, population } : city)),
    )
    const entry = await this.ports.kv.getEntry(key)
    this.show(entry, `Saved as version ${whole(entry?.version ?? 0)}.`)
  }

  private async writeElsewhere({ key }: CityEntry): Promise<void> {
    const entry = await this.ports.elsewhere.update(key, (city) =>
      city === undefined ? undefined : { ...city, population: city.population + 1 },
    )
    const version = whole(entry?.version ?? 0)
    this.tell(`Somebody else wrote version ${version}. What you see is older now: try to save.`)
  }

  private attempt(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.tell(String(error)))
  }

  private tell(note: string): void {
    this.element.querySelector('.note')?.remove()
    this.element.append(said(note))
  }
}

function empty(): HTMLElement {
  return element('p', { className: 'quiet' }, 'Pick a city: its record is read from the node.')
}

function heading({ value: { name, country } }: CityEntry): HTMLElement {
  const where = element('span', { className: 'quiet' }, countryName(country))
  return element('h3', {}, `${name} `, where)
}

function facts({ key, version, value }: CityEntry): HTMLElement {
  const [longitude, latitude] = value.loc.coordinates
  const rows = {
    Key: key,
    Version: whole(version),
    Population: whole(value.population),
    Position: `${latitude.toFixed(3)}°, ${longitude.toFixed(3)}°`,
    Region: value.adminCode,
    Feature: value.featureCode,
  }
  const cells = Object.entries(rows).flatMap(([name, text]) => [
    element('dt', {}, name),
    element('dd', { attributes: { 'data-fact': name.toLowerCase() } }, text),
  ])
  return element('dl', { className: 'facts' }, ...cells)
}

function said(note: string): HTMLElement {
  return element('p', { className: 'note', attributes: { role: 'status' } }, note)
}
