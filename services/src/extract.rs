//! Request extractors whose rejections are our JSON errors.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    body,
    error::{self, ApiError},
};

/// A JSON body: 415 without the content type, 400 for broken JSON or UTF-8, 422 for wrong or missing fields,
/// 413 when it is too long, 408 when it does not arrive.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match timeout(body::IDLE_LIMIT, axum::Json::<T>::from_request(request, state)).await {
            Ok(Ok(axum::Json(value))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(json_error(&rejection)),
            Err(_) => Err(body::stalled()),
        }
    }
}

fn json_error(rejection: &JsonRejection) -> ApiError {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Expected Content-Type: application/json")
        }
        JsonRejection::JsonSyntaxError(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, "The request body is not valid JSON")
        }
        JsonRejection::JsonDataError(error) => {
            // serde_path_to_error: "username: invalid type: integer `5`, expected a string at line 1 column 13".
            // It can quote the value of a field, and that field can be the password: name the place only.
            let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, data_error(&text))
        }
        JsonRejection::BytesRejection(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large").closing()
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, "The request body could not be read").closing(),
    }
}

/// A message about a field without the field's value.
fn data_error(text: &str) -> String {
    if let Some(rest) = text.split("missing field `").nth(1)
        && let Some(field) = rest.split('`').next()
    {
        return format!("The field {field:?} is missing");
    }
    if let Some(field) = text.split_once(": ").map(|(path, _)| path)
        && field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']'))
        && field != "."
    {
        return format!("The field {field:?} has the wrong type");
    }
    "The request body is not an object of the expected fields".to_owned()
}

/// The one parameter of a route's path; 404 when it is not UTF-8.
#[derive(Clone, Debug)]
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(_) => Err(error::not_found().await),
        }
    }
}

/// The session token of a request: the cookie `session`, or `Authorization: Bearer`.
#[derive(Clone, Debug)]
pub struct SessionToken(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for SessionToken {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let bearer = parts
            .headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim);
        let cookie = || {
            parts
                .headers
                .get_all(http::header::COOKIE)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(';'))
                .filter_map(|pair| pair.trim().split_once('='))
                .find(|(name, _)| *name == "session")
                .map(|(_, value)| value)
        };
        let token = bearer.or_else(cookie).filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Self(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_errors_name_the_field_and_not_its_value() {
        let cases = [
            ("password: invalid type: integer `1234567`, expected a string at line 1 column 9", "password"),
            ("missing field `password` at line 1 column 18", "password"),
        ];
        for (text, field) in cases {
            let message = data_error(text);
            assert!(message.contains(field) && !message.contains("1234567"), "{message}");
        }
        assert!(data_error("invalid type: sequence, expected struct Credentials").contains("object"));
    }

    #[tokio::test]
    async fn tokens() {
        async fn token(name: &str, value: &str) -> Option<String> {
            let request = http::Request::builder().header(name, value).body(()).unwrap();
            let (mut parts, ()) = request.into_parts();
            let Ok(SessionToken(token)) = SessionToken::from_request_parts(&mut parts, &()).await;
            token
        }
        assert_eq!(token("cookie", "a=b; session=xyz; c=d").await.as_deref(), Some("xyz"));
        assert_eq!(token("cookie", "mysession=xyz").await, None);
        assert_eq!(token("cookie", "session=").await, None);
        assert_eq!(token("authorization", "Bearer xyz").await.as_deref(), Some("xyz"));
        assert_eq!(token("authorization", "Basic xyz").await, None);
    }
}
