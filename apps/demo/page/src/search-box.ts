/**
 * Finds cities while somebody types: one scan of the name index per key pressed, which ends when the
 * next one begins. A combobox: arrows go through the hits, Enter opens one, Escape clears.
 */
import type { Keyspace } from '@kv/client'
import type { CitySchema, NamedCity } from '../../src/city-keys.js'
import { counted, milliseconds, whole } from '../../src/figures.js'
import { search } from '../../src/search.js'
import { countryName } from './country.js'
import { element } from './element.js'

const HITS_SHOWN = 8
const HINT = 'Type the beginning of a name, in any script: sao, zür, 東, моск'

export class SearchBox {
  readonly element: HTMLElement
  private readonly kv: Pick<Keyspace<CitySchema>, 'list'>
  private readonly onPick: (city: NamedCity) => void
  private readonly input: HTMLInputElement
  private readonly list: HTMLElement
  private readonly told: HTMLElement
  private hits: readonly NamedCity[] = []
  private active = -1
  private scan = new AbortController()

  constructor(kv: Pick<Keyspace<CitySchema>, 'list'>, onPick: (city: NamedCity) => void) {
    this.kv = kv
    this.onPick = onPick
    this.input = element('input', {
      type: 'search',
      placeholder: 'City',
      autocomplete: 'off',
      spellcheck: false,
      oninput: () => this.look(),
      onkeydown: (event) => this.onKey(event),
      attributes: {
        role: 'combobox',
        'aria-label': 'Name of a city',
        'aria-expanded': 'false',
        'aria-controls': 'hits',
        'aria-autocomplete': 'list',
      },
    })
    this.list = element('ul', {
      id: 'hits',
      className: 'hits',
      attributes: { role: 'listbox', 'aria-label': 'Cities found' },
    })
    this.told = element(
      'p',
      { className: 'quiet small', attributes: { 'aria-live': 'polite' } },
      HINT,
    )
    this.element = element('div', {}, this.input, this.told, this.list)
  }

  focus(): void {
    this.input.focus()
  }

  private look(): void {
    this.scan.abort()
    const typed = this.input.value
    if (typed.trim() === '') {
      this.show([], HINT)
      return
    }
    this.scan = new AbortController()
    const { signal } = this.scan
    search(this.kv, typed, { limit: HITS_SHOWN, signal }).then(
      ({ cities, total, elapsedMs }) => {
        const found = counted(total, 'city', 'cities')
        if (!signal.aborted) this.show(cities, `${found} in ${milliseconds(elapsedMs)}`)
      },
      (error: unknown) => {
        if (!signal.aborted) this.show([], String(error))
      },
    )
  }

  private show(hits: readonly NamedCity[], told: string): void {
    this.hits = hits
    this.active = -1
    this.told.textContent = told
    this.list.replaceChildren(...hits.map((city, index) => this.hit(city, index)))
    this.input.setAttribute('aria-expanded', String(hits.length > 0))
    this.input.removeAttribute('aria-activedescendant')
  }

  private hit(city: NamedCity, index: number): HTMLElement {
    return element(
      'li',
      {
        id: `hit-${index}`,
        // Before the field loses the focus, which would move what is being clicked.
        onmousedown: (event) => event.preventDefault(),
        onclick: () => this.pick(index),
        attributes: {
          role: 'option',
          'aria-selected': 'false',
          // The country gives way to the name where there is little room.
          'aria-label': `${city.name}, ${countryName(city.country)}, ${whole(city.population)}`,
        },
      },
      element('span', { className: 'code', ariaHidden: 'true' }, city.country),
      element('span', { className: 'name' }, city.name),
      element('span', { className: 'quiet country' }, countryName(city.country)),
      element('span', { className: 'figure' }, whole(city.population)),
    )
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key === 'ArrowDown') this.move(1)
    else if (event.key === 'ArrowUp') this.move(-1)
    else if (event.key === 'Enter') this.pick(Math.max(0, this.active))
    else if (event.key === 'Escape') {
      this.input.value = ''
      this.look()
    } else return
    event.preventDefault()
  }

  private move(by: number): void {
    const { length } = this.hits
    if (length === 0) return
    this.mark(this.active < 0 && by < 0 ? length - 1 : (this.active + by + length) % length)
  }

  private mark(active: number): void {
    this.active = active
    for (const [index, item] of [...this.list.children].entries()) {
      item.setAttribute('aria-selected', String(index === active))
    }
    this.input.setAttribute('aria-activedescendant', `hit-${active}`)
  }

  private pick(index: number): void {
    const city = this.hits[index]
    if (city === undefined) return
    this.mark(index)
    this.onPick(city)
  }
}
