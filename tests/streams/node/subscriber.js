// A live subscriber in another language: prints what comes on a channel until it has seen so many events.
import { createClient } from 'redis';

const [url, channel, count] = process.argv.slice(2);
const client = await createClient({ url }).connect();
const seen = new Map();
let last = '0';
while (seen.size < Number(count)) {
  const found = await client.xRead({ key: channel, id: last }, { BLOCK: 5000 });
  for (const { id, message } of found?.[0].messages ?? []) {
    last = id;
    seen.set(message.id, JSON.parse(message.payload)); // the event's id: the same twice is one event
  }
}
await client.close();
console.log(JSON.stringify([...seen]));
