/**
 * Which child serves which shard, how much each holds, and how busy it is right now.
 */
import { counted, megabytes, whole } from '../../src/figures.js'
import { element } from './element.js'
import type { ChildFigures, NodeFigures, ShardFigures } from './stats-source.js'

/** Calls a second at which a shard is shown as hot as it gets. */
const HOT_CALLS_PER_SECOND = 2_000

export class ShardMap {
  readonly element: HTMLElement
  private readonly summary = element('p', { className: 'quiet small' }, 'asking the node …')
  private readonly grid = element('div', { className: 'children' })

  constructor() {
    this.element = element('div', {}, this.summary, this.grid)
  }

  show({ coordinator, children, shards }: NodeFigures): void {
    const keys = sum(shards, ({ keys: own = 0 }) => own)
    const calls = whole(sum(shards, callsPerSecond))
    const clients = counted(coordinator.connections, 'connection', 'connections')
    this.summary.textContent =
      `${whole(keys)} keys in ${counted(shards.length, 'shard', 'shards')}, ` +
      `${calls} calls/s, ${clients}, coordinator pid ${coordinator.pid}`
    const homeless = shards.filter(({ primary }) => primary === 0)
    const cards = children
      .toSorted((a, b) => a.id - b.id)
      .map((child) =>
        card(
          child,
          shards.filter(({ primary }) => primary === child.id),
        ),
      )
    this.grid.replaceChildren(...cards)
    if (homeless.length > 0) this.grid.append(homelessCard(homeless))
  }

  fail(error: unknown): void {
    this.summary.textContent = `no figures: ${String(error)}`
  }
}

function card({ id, pid, rssBytes }: ChildFigures, shards: readonly ShardFigures[]): HTMLElement {
  const keys = whole(sum(shards, ({ keys: own = 0 }) => own))
  const calls = whole(sum(shards, callsPerSecond))
  return element(
    'article',
    { className: 'child', attributes: { 'aria-label': `Child ${id}`, 'data-child': `${id}` } },
    element(
      'header',
      {},
      element('h3', {}, `Child ${id}`),
      element('span', { className: 'quiet small' }, `pid ${pid}, ${megabytes(rssBytes)}`),
    ),
    element(
      'p',
      { className: 'figures' },
      element('strong', {}, keys),
      ' keys ',
      element('strong', {}, calls),
      ' calls/s',
    ),
    element('ul', { className: 'shards' }, ...shards.map(tile)),
  )
}

function homelessCard(shards: readonly ShardFigures[]): HTMLElement {
  return element(
    'article',
    { className: 'child homeless', attributes: { 'aria-label': 'Without a child' } },
    element('header', {}, element('h3', {}, 'On the move')),
    element('ul', { className: 'shards' }, ...shards.map(tile)),
  )
}

function tile(shard: ShardFigures): HTMLElement {
  const { id, keys = 0, state } = shard
  const calls = callsPerSecond(shard)
  const heat = Math.min(1, Math.log1p(calls) / Math.log1p(HOT_CALLS_PER_SECOND))
  const made = element(
    'li',
    { title: `shard ${id}: ${state}, ${whole(keys)} keys, ${whole(calls)} calls/s` },
    element('span', { className: 'quiet' }, `${id}`),
    element('strong', {}, whole(keys)),
    element('span', { className: 'rate' }, `${whole(calls)}/s`),
  )
  made.style.setProperty('--heat', `${Math.round(heat * 100)}%`)
  return made
}

function callsPerSecond({ readsPerSecond = 0, writesPerSecond = 0 }: ShardFigures): number {
  return readsPerSecond + writesPerSecond
}

function sum<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((total, item) => total + amount(item), 0)
}
