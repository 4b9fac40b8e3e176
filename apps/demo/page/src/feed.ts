/**
 * What changes in the cities, as it happens: a watch that goes on through reconnects, failovers and
 * moves by itself. Every change comes once, or the feed says that some were missed.
 */
import type { Keyspace } from '@kv/client'
import type { CitySchema } from '../../src/city-keys.js'
import { whole } from '../../src/figures.js'
import { element } from './element.js'

const CHANGES_SHOWN = 12
const TIME = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const HINT =
  'Nothing has changed since this page was opened. Save a record, here or in another tab.'

type Watched = Pick<Keyspace<CitySchema>, 'watch'>

export class Feed {
  readonly element: HTMLElement
  private readonly kv: Watched
  private readonly told: HTMLElement
  private readonly list: HTMLElement

  constructor(kv: Watched) {
    this.kv = kv
    this.told = element('p', { className: 'quiet small', attributes: { role: 'status' } })
    this.list = element('ol', {
      className: 'changes',
      attributes: { 'aria-label': 'Changes, the latest first', 'aria-live': 'polite' },
    })
    this.element = element('div', {}, this.told, this.list)
  }

  /** Never ends but with the page. */
  async run(): Promise<void> {
    this.told.textContent = 'asking for changes …'
    try {
      for await (const event of this.kv.watch({ prefix: 'city:' })) {
        if (event.type === 'ready') this.told.textContent = this.list.hasChildNodes() ? '' : HINT
        else if (event.type === 'reset') this.add('reset', `changes were missed: ${event.reason}`)
        else if (event.type === 'set') this.addSet(event.value, event.version)
        else this.add(event.type, event.key, `version ${whole(event.version)}`)
      }
    } catch (error) {
      this.told.textContent = `the feed ended: ${String(error)}`
    }
  }

  private addSet(
    { name, population }: { name: string; population: number },
    version: number,
  ): void {
    this.add('set', name, `${whole(population)}, version ${whole(version)}`)
  }

  private add(type: string, what: string, more = ''): void {
    this.told.textContent = ''
    const change = element(
      'li',
      { attributes: { 'data-change': type } },
      element('time', { className: 'quiet' }, TIME.format(new Date())),
      element('span', { className: 'kind' }, type),
      element('strong', {}, what),
      element('span', { className: 'quiet more' }, more),
    )
    this.list.prepend(change)
    while (this.list.childElementCount > CHANGES_SHOWN) this.list.lastElementChild?.remove()
  }
}
