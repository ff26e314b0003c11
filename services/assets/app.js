// The gallery's pages: one document, three views (welcome, profile, trouble).

const $ = (id) => document.getElementById(id);

/** An answer of the API that is no success, with the API's own message. */
class ApiError extends Error {
  constructor(message, status, requestId) {
    super(message);
    this.status = status;
    this.requestId = requestId;
  }
}

/** Calls the API; resolves to the JSON body, or null when there is none. */
async function api(method, path, { json, body, type } = {}) {
  const options = { method, headers: {}, credentials: "same-origin" };
  if (json !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(json);
  } else if (body !== undefined) {
    options.headers["Content-Type"] = type || "application/octet-stream";
    options.body = body;
  }
  let response;
  try {
    response = await fetch(`/api${path}`, options);
  } catch {
    throw new ApiError("The server cannot be reached. Please check your connection and try again.", 0);
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    const message = answer?.error ?? `The server answered with status ${response.status}.`;
    throw new ApiError(message, response.status, answer?.request_id ?? response.headers.get("x-request-id"));
  }
  return answer;
}

/** Shows one of the views and hides the others. */
function show(view) {
  for (const id of ["loading", "trouble", "welcome", "profile"]) $(id).hidden = id !== view;
  $("account").hidden = view !== "profile";
}

/** Puts a message into an element; without a text the element disappears. */
function say(element, kind, text, requestId) {
  element.hidden = !text;
  element.className = `message ${kind}`;
  element.replaceChildren(text ?? "");
  if (requestId && kind === "error") {
    const id = document.createElement("code");
    id.textContent = `Request ${requestId}`;
    element.append(id);
  }
}

/** Shows a failure: a person needs the id only when the failure is not their own. */
function sayError(element, error) {
  say(element, "error", error.message, error.status >= 500 ? error.requestId : undefined);
}

/** Runs an action once at a time, with its button disabled. */
async function busy(button, action) {
  if (button.disabled) return;
  button.disabled = true;
  try {
    await action();
  } finally {
    button.disabled = false;
  }
}

// --- welcome ---------------------------------------------------------------

const tabs = ["login", "register"];

function selectTab(name, focus) {
  for (const tab of tabs) {
    const selected = tab === name;
    $(`tab-${tab}`).setAttribute("aria-selected", String(selected));
    $(`tab-${tab}`).tabIndex = selected ? 0 : -1;
    $(tab).hidden = !selected;
  }
  if (focus) $(`tab-${name}`).focus();
}

for (const [index, tab] of tabs.entries()) {
  $(`tab-${tab}`).addEventListener("click", () => selectTab(tab));
  $(`tab-${tab}`).addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") selectTab(tabs[1 - index], true);
  });
}

function credentials(form) {
  const data = new FormData(form);
  return { username: data.get("username").trim(), password: data.get("password") };
}

function onSubmit(form, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const message = form.querySelector(".message");
    busy(form.querySelector("button[type=submit]"), async () => {
      try {
        say(message, "", null);
        const input = credentials(form);
        if (!input.username || !input.password) {
          say(message, "error", "Please fill in username and password.");
          return;
        }
        await action(input);
      } catch (error) {
        sayError(message, error);
      }
    });
  });
}

onSubmit($("login"), async (input) => {
  await api("POST", "/login", { json: input });
  $("login").reset();
  await openProfile();
});

onSubmit($("register"), async (input) => {
  await api("POST", "/register", { json: input });
  $("register").reset();
  const login = $("login");
  login.elements.username.value = input.username;
  selectTab("login");
  say(login.querySelector(".message"), "success", "Your account is ready. You can log in now.");
  login.elements.password.focus();
});

// --- profile ---------------------------------------------------------------

const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function picture(image) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "picture";
  const element = document.createElement("img");
  element.src = `/api${image.url}`;
  element.alt = `Picture of ${date.format(new Date(image.uploaded_at))}`;
  element.loading = "lazy";
  const caption = document.createElement("span");
  const left = document.createElement("b");
  left.textContent = `${image.width} × ${image.height}`;
  caption.append(left, `${image.format.toUpperCase()}, ${size(image.bytes)}`);
  button.append(element, caption);
  button.addEventListener("click", () => {
    $("viewer-image").src = element.src;
    $("viewer-image").alt = element.alt;
    $("viewer").showModal();
  });
  item.append(button);
  return item;
}

/** A hue that stays the same for a name. */
function hue(name) {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) % 360;
  return hash;
}

function render(profile) {
  const { user, images } = profile;
  $("account-name").textContent = user.username;
  $("profile-name").textContent = user.username;
  const count = images.length === 1 ? "1 picture" : `${images.length} pictures`;
  $("profile-details").textContent = `Member since ${date.format(new Date(user.created_at))} · ${count}`;
  $("avatar").textContent = user.username[0].toUpperCase();
  $("avatar").style.setProperty("--hue", hue(user.username));
  say($("warning"), "error", profile.warning);
  $("empty").hidden = images.length > 0 || Boolean(profile.warning);
  $("pictures").replaceChildren(...images.map(picture));
  show("profile");
}

async function openProfile() {
  try {
    render(await api("GET", "/profile"));
  } catch (error) {
    if (error.status === 401) {
      show("welcome");
    } else {
      sayError($("trouble-message"), error);
      show("trouble");
    }
  }
}

async function upload(file) {
  const message = $("upload-message");
  say(message, "", null);
  $("progress").hidden = false;
  $("file").disabled = true;
  try {
    await api("POST", "/images/upload", { body: file, type: file.type });
    await openProfile();
    say(message, "success", "The picture is uploaded.");
  } catch (error) {
    if (error.status === 401) {
      show("welcome");
      say($("login").querySelector(".message"), "error", error.message);
    } else {
      sayError(message, error);
    }
  } finally {
    $("progress").hidden = true;
    $("file").disabled = false;
    $("upload").reset();
  }
}

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) upload(file);
});

for (const kind of ["dragenter", "dragover"]) {
  $("upload").addEventListener(kind, (event) => {
    event.preventDefault();
    $("upload").classList.add("over");
  });
}

for (const kind of ["dragleave", "drop"]) {
  $("upload").addEventListener(kind, (event) => {
    event.preventDefault();
    $("upload").classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (kind === "drop" && file && !$("file").disabled) upload(file);
  });
}

$("logout").addEventListener("click", () => busy($("logout"), async () => {
  const message = $("login").querySelector(".message");
  try {
    await api("POST", "/logout");
    say(message, "success", "You are logged out.");
  } catch (error) {
    sayError(message, error);
  }
  say($("upload-message"), "", null);
  $("pictures").replaceChildren();
  selectTab("login");
  show("welcome");
}));

$("retry").addEventListener("click", () => busy($("retry"), openProfile));

openProfile();
