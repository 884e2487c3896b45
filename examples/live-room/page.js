// What is said in a room, as it is said. The browser comes again by itself when a stream ends, and
// goes on where it was, at whichever node answers.
const room = new URLSearchParams(location.search).get("room") ?? "lobby";
const status = document.querySelector("[role=status]");
const list = document.querySelector("ol");
const form = document.querySelector("form");

const source = new EventSource(`/watch/room/${encodeURIComponent(room)}`);
source.addEventListener("@begun", () => show("Connected"));
source.addEventListener("@missed", () => show("Connected; something may have been missed"));
source.addEventListener("error", () => show("Not connected, trying again"));
source.addEventListener("room.spoken", ({ data }) => {
  const { who, text } = JSON.parse(data);
  const line = document.createElement("li");
  // Text, never markup: others have written it.
  line.textContent = `${who}: ${text}`;
  list.append(line);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  say(Object.fromEntries(new FormData(form))).catch(({ message }) => show(message));
});

async function say({ who, text }) {
  const said = await fetch(`/entities/room/${encodeURIComponent(room)}/say`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ who, text }),
  });
  if (!said.ok) throw new Error((await said.json()).detail);
  form.elements.namedItem("text").value = "";
}

function show(text) {
  status.textContent = text;
}
