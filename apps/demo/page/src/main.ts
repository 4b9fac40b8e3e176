/**
 * The page of the demo. Everything it shows of the data comes through `@kv/client`, over a WebSocket
 * straight to the node: there is no server of its own behind it.
 */
import type { KvClient } from '@kv/client'
import { createClient } from '@kv/client'
import type { CitySchema } from '../../src/city-keys.js'
import { place } from './element.js'
import { Feed } from './feed.js'
import { nodeUrl } from './node-url.js'
import { RecordPanel } from './record-panel.js'
import { SearchBox } from './search-box.js'
import { ShardMap } from './shard-map.js'
import { watchStats } from './stats-source.js'
import { Traffic } from './traffic.js'

const url = nodeUrl()
const kv = createClient<CitySchema>({ url, name: 'the page of the demo' })
const elsewhere = createClient<CitySchema>({ url, name: 'somebody else' })

showStatus(kv)

const record = new RecordPanel({ kv, elsewhere })
const search = new SearchBox(kv, ({ cityId }) => void record.open(cityId))
const feed = new Feed(kv)
const shards = new ShardMap()
place('search').append(search.element)
place('record').append(record.element)
place('feed').append(feed.element)
place('shards').append(shards.element, new Traffic(kv).element)
search.focus()
void feed.run()

watchStats(
  url,
  (figures) => shards.show(figures),
  (error) => shards.fail(error),
)

function showStatus(client: KvClient<CitySchema>): void {
  const status = place('status')
  const paint = (): void => {
    status.textContent = `${client.status} · ${url}`
    status.dataset['state'] = client.status
  }
  for (const event of ['ready', 'reconnecting', 'end'] as const) client.on(event, paint)
  client.connect().then(paint, paint)
  paint()
}
